//! The simulated provider as it is forced to behave.

use std::time::{Duration, Instant};

use futures::future::join_all;
use payment::domain::ChargeAnswer;
use payment::provider::Mode;

use crate::provider_harness::{Provider, declined, has_failed};

#[tokio::test(flavor = "multi_thread")]
async fn forcing_goes_before_the_method_until_it_is_used_up() {
    let provider = Provider::start().await;
    provider.force(Mode::Decline, Some(1)).await;
    let answer = provider.charge("first", "pm_card_visa").await.unwrap();
    assert_eq!(answer, declined("card_declined"));
    assert_eq!(provider.remaining().await, Some(0));
    provider.taken("second", "pm_card_visa").await;

    provider.force(Mode::Approve, Some(1)).await;
    provider.taken("third", "pm_card_insufficient_funds").await;
    let answer = provider.charge("fourth", "pm_card_insufficient_funds").await;
    assert_eq!(answer.unwrap(), declined("insufficient_funds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_number_all_are_forced_until_it_is_changed() {
    let provider = Provider::start().await;
    provider.force(Mode::Decline, None).await;
    for key in ["a", "b", "c"] {
        let answer = provider.charge(key, "pm_card_visa").await.unwrap();
        assert_eq!(answer, declined("card_declined"));
    }
    assert_eq!(provider.remaining().await, None);
    provider.force(Mode::Approve, Some(0)).await;
    provider.taken("d", "pm_card_visa").await;
    // what has been declined stays so
    let answer = provider.charge("a", "pm_card_visa").await.unwrap();
    assert_eq!(answer, declined("card_declined"));
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_as_many_are_forced_as_were_asked_for_however_many_come_at_once() {
    let provider = Provider::start().await;
    for (mode, number) in [(Mode::Decline, 7), (Mode::Error, 5)] {
        provider.force(mode, Some(number)).await;
        let charges = (0..40).map(async |key| {
            let key = format!("{}-{key}", mode.as_str());
            provider.charge(&key, "pm_card_visa").await
        });
        let answers = join_all(charges).await;
        let (forced, free): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| match mode {
            Mode::Error => has_failed(answer),
            Mode::Decline | Mode::Approve | Mode::Timeout => {
                matches!(answer, Ok(answer) if *answer == declined("card_declined"))
            }
        });
        assert_eq!(forced.len(), usize::try_from(number).unwrap(), "{mode:?}");
        let is_approved = |answer| matches!(answer, &&Ok(ChargeAnswer::Approved { .. }));
        assert!(free.iter().all(is_approved), "{free:?}");
        assert_eq!(provider.remaining().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_counts_once_however_often_it_is_tried() {
    let provider = Provider::start().await;
    provider.force(Mode::Error, Some(2)).await;
    // also when its tries come at once
    let tries = join_all((0..10).map(|_| provider.charge("first", "pm_card_visa"))).await;
    assert!(tries.iter().all(has_failed));
    assert_eq!(provider.remaining().await, Some(1));
    assert!(has_failed(&provider.charge("second", "pm_card_visa").await));
    assert_eq!(provider.remaining().await, Some(0));
    // and stays forced when nothing is left to force, until the setting is changed
    for key in ["first", "second", "first"] {
        assert!(has_failed(&provider.charge(key, "pm_card_visa").await));
    }
    provider.taken("third", "pm_card_visa").await;
    provider.force(Mode::Error, Some(0)).await;
    provider.taken("first", "pm_card_visa").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_not_forced_again_and_uses_nothing_up() {
    let provider = Provider::start().await;
    let reference = provider.taken("key", "pm_card_visa").await;
    provider.force(Mode::Decline, Some(1)).await;
    assert_eq!(provider.taken("key", "pm_card_visa").await, reference);
    assert_eq!(provider.remaining().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_takes_the_money_and_asking_again_finds_it_taken() {
    let provider = Provider::start().await;
    provider.force(Mode::Timeout, Some(1)).await;
    provider.taken_in_silence("key", "pm_card_visa").await;
    assert_eq!(provider.remaining().await, Some(0));
    let reference = provider.taken("key", "pm_card_visa").await;
    assert_eq!(provider.books("key").await["reference"], reference);
    assert_eq!(provider.taken_in_all().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_as_late_as_it_is_forced_to_be_and_only_the_first_one() {
    let provider = Provider::start().await;
    let late = 150;
    for (mode, remaining, method) in [
        (Mode::Approve, None, "pm_card_visa"),
        (Mode::Decline, Some(1), "pm_card_visa"),
        (Mode::Approve, Some(0), "pm_card_declined"),
    ] {
        provider.force_late(mode, remaining, late).await;
        let key = format!("{mode:?}{remaining:?}");
        let begun = Instant::now();
        let first = provider.charge(&key, method).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(late.into()));
        assert_eq!(provider.charge(&key, method).await.unwrap(), first);
    }
}
