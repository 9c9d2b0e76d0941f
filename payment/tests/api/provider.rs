//! The simulated provider by itself: one key is one charge, whatever is asked how often.

use std::time::Instant;

use contracts::{Currency, Money};
use futures::future::join_all;
use payment::domain::{ChargeAnswer, VoidAnswer};
use payment::provider::PaymentProvider;

use crate::harness::PRICE;
use crate::provider_harness::{Provider, SLOW, declined, euros, has_failed, is_refused, reference};

#[tokio::test(flavor = "multi_thread")]
async fn every_method_behaves_as_its_name_says() {
    let provider = Provider::start().await;
    let taken = provider.taken("visa", "pm_card_visa").await;
    assert!(taken.starts_with("sim_ch_"), "{taken}");
    for (method, code) in [
        ("pm_card_declined", "card_declined"),
        ("pm_card_insufficient_funds", "insufficient_funds"),
        ("pm_nonsense", "unknown_payment_method"),
    ] {
        for _ in 0..2 {
            assert_eq!(provider.charge(method, method).await.unwrap(), declined(code));
        }
    }
    for _ in 0..5 {
        assert!(has_failed(&provider.charge("error", "pm_provider_error").await));
    }
    assert_eq!(provider.books("error").await["status"], "open");
    for expected in [true, true, false, false] {
        let answer = provider.charge("flaky", "pm_provider_flaky").await;
        assert_eq!(has_failed(&answer), expected, "{answer:?}");
    }
    assert_eq!(provider.taken_in_all().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_charge_is_late_once() {
    let provider = Provider::start().await;
    let begun = Instant::now();
    let taken = provider.taken("key", "pm_provider_slow").await;
    assert!(begun.elapsed() >= SLOW);
    assert_eq!(provider.taken("key", "pm_provider_slow").await, taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_charged_once_however_many_ask_at_once() {
    let provider = Provider::start().await;
    let asked = (0..50).map(|_| provider.taken("key", "pm_card_visa"));
    let mut references = join_all(asked).await;
    references.dedup();
    assert_eq!(references.len(), 1, "{references:?}");
    let books = provider.books("key").await;
    assert_eq!(books["reference"], references[0]);
    assert_eq!(books["attempts"], 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_taken_for_another_charge() {
    let provider = Provider::start().await;
    for (key, method) in [
        ("approved", "pm_card_visa"),
        ("declined", "pm_card_declined"),
        ("open", "pm_provider_error"),
    ] {
        let first = provider.charge(key, method).await;
        let before = provider.books(key).await;
        let simulated = &provider.simulated;
        let dollars = Money::new(PRICE.amount_minor(), Currency::USD);
        assert!(is_refused(&simulated.charge(key, euros(1), method).await));
        assert!(is_refused(&simulated.charge(key, dollars, method).await));
        assert!(is_refused(
            &simulated.charge(key, PRICE, "pm_provider_slow").await
        ));
        assert_eq!(provider.books(key).await, before, "nothing of it is written");
        let again = provider.charge(key, method).await;
        assert_eq!(again.ok(), first.ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_voided_in_time_takes_nothing() {
    let provider = Provider::start().await;
    // never asked for, failed so far, declined
    assert!(has_failed(&provider.charge("open", "pm_provider_error").await));
    let refusal = provider.charge("declined", "pm_card_declined").await.unwrap();
    for key in ["new", "open", "declined"] {
        for _ in 0..2 {
            let void = provider.simulated.void(key).await.unwrap();
            assert_eq!(void, VoidAnswer::Voided, "{key}");
        }
    }
    for (key, method, expected) in [
        ("new", "pm_card_visa", &ChargeAnswer::Voided),
        ("open", "pm_provider_error", &ChargeAnswer::Voided),
        ("declined", "pm_card_declined", &refusal),
    ] {
        for _ in 0..2 {
            assert_eq!(&provider.charge(key, method).await.unwrap(), expected, "{key}");
        }
        assert!(is_refused(&provider.simulated.refund(key).await));
    }
    assert_eq!(provider.taken_in_all().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_that_comes_too_late_tells_what_was_taken() {
    let provider = Provider::start().await;
    let reference = provider.taken("key", "pm_card_visa").await;
    for _ in 0..2 {
        let void = provider.simulated.void("key").await.unwrap();
        let reference = reference.clone();
        assert_eq!(void, VoidAnswer::Captured { reference });
    }
    assert_eq!(provider.taken("key", "pm_card_visa").await, reference);
    provider.simulated.refund("key").await.unwrap();
    let void = provider.simulated.void("key").await.unwrap();
    assert_eq!(void, VoidAnswer::Captured { reference });
}

#[tokio::test(flavor = "multi_thread")]
async fn charge_and_void_at_once_agree_on_who_came_first() {
    let provider = Provider::start().await;
    let races = (0..40).map(async |number| {
        let key = format!("key-{number}");
        let charge = provider.charge(&key, "pm_card_visa");
        let void = provider.simulated.void(&key);
        let (charge, void) = futures::join!(charge, void);
        match (charge.unwrap(), void.unwrap()) {
            (ChargeAnswer::Voided, VoidAnswer::Voided) => {}
            (ChargeAnswer::Approved { reference }, VoidAnswer::Captured { reference: told }) => {
                assert_eq!(reference, told);
            }
            disagreement => panic!("{disagreement:?}"),
        }
    });
    join_all(races).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_back_once() {
    let provider = Provider::start().await;
    assert!(is_refused(&provider.simulated.refund("key").await));
    provider.taken("key", "pm_card_visa").await;
    let asked = (0..20).map(|_| provider.simulated.refund("key"));
    let mut references: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    references.dedup();
    assert_eq!(references.len(), 1, "{references:?}");
    assert!(references[0].starts_with("sim_re_"));
    assert_eq!(provider.books("key").await["refund_reference"], references[0]);
    // the charge stays what it was
    let again = provider.charge("key", "pm_card_visa").await.unwrap();
    assert_eq!(provider.books("key").await["reference"], reference(again));
}
