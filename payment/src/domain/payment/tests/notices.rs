//! Notices: what the provider tells unasked, in any order with its answers.

use super::*;
use crate::domain::{ChargeKey, Notice, Provider};

fn taken(reference: &str) -> Notice {
    Notice::Taken {
        reference: reference.to_owned(),
    }
}

fn refused() -> Notice {
    Notice::Declined {
        code: "card_declined".to_owned(),
    }
}

fn back(reference: &str) -> Notice {
    Notice::GivenBack {
        refund_reference: reference.to_owned(),
    }
}

fn notice(payment: Payment, notice: &Notice) -> Reaction<Payment, PaymentAction> {
    on_provider_notice(Some(payment), notice, &at(5))
}

#[test]
fn a_payment_goes_through_the_provider_it_began_with() {
    let placed = moved(on_order_created_at(Provider::Stripe, None, &placed(), &at(0))).state;
    let cancelled = moved(on_order_cancelled_at(
        Provider::Stripe,
        None,
        &taken_back(),
        &at(0),
    ))
    .state;
    for payment in [placed, cancelled] {
        assert_eq!(payment.provider, "stripe");
        assert_eq!(Provider::from_name(&payment.provider), Some(Provider::Stripe));
    }
}

#[test]
fn a_notice_before_the_answer_does_what_the_answer_does_and_the_answer_then_nothing() {
    let cases = [
        (processing(), taken("ch_1"), approved("ch_1")),
        (cancelling(), taken("ch_1"), approved("ch_1")),
        (cancelling(), taken("ch_1"), captured("ch_1")),
        (processing(), refused(), declined()),
        (cancelling(), refused(), declined()),
        (cancelling(), Notice::Cancelled, VOIDED),
        (processing(), Notice::Cancelled, CHARGE_VOIDED),
        (refunding(), back("re_1"), given_back("re_1")),
    ];
    for (before, told_first, answer) in cases {
        let by_notice = moved(notice(before.clone(), &told_first));
        let by_answer = moved(on_provider_answer(Some(before), &answer, &at(5)));
        assert_eq!(by_notice.state.status, by_answer.state.status);
        assert_eq!(told(&by_notice), told(&by_answer));
        assert_eq!(by_notice.actions, by_answer.actions);

        let answer_after = on_provider_answer(Some(by_notice.state.clone()), &answer, &at(6));
        assert_eq!(answer_after, Ok(Step::Unchanged), "{answer:?}");
        assert_eq!(
            notice(by_answer.state, &told_first),
            Ok(Step::Unchanged),
            "{told_first:?}"
        );
        assert_eq!(
            notice(by_notice.state, &told_first),
            Ok(Step::Unchanged),
            "{told_first:?}"
        );
    }
}

#[test]
fn a_notice_that_comes_too_late_to_matter_changes_nothing() {
    for payment in [completed(), refunding(), refunded()] {
        assert_eq!(notice(payment.clone(), &refused()), Ok(Step::Unchanged));
        assert_eq!(notice(payment.clone(), &Notice::Cancelled), Ok(Step::Unchanged));
        assert_eq!(notice(payment, &taken("ch_1")), Ok(Step::Unchanged));
    }
    assert_eq!(notice(refunded(), &back("re_1")), Ok(Step::Unchanged));
}

#[test]
fn money_taken_for_what_was_given_up_goes_back() {
    for payment in [failed(), voided(), cancelling()] {
        let step = moved(notice(payment, &taken("ch_1")));
        assert_eq!(step.actions, [refund_action()]);
    }
}

#[test]
fn a_notice_that_contradicts_is_for_a_person_to_look_at() {
    for payment in [processing(), completed(), failed(), voided()] {
        assert_eq!(rejected(notice(payment, &back("re_1"))), "unexpected-refund");
    }
    assert_eq!(rejected(notice(completed(), &taken("ch_2"))), "charged-twice");
    let unknown = on_provider_notice(None, &taken("ch_1"), &at(5));
    assert_eq!(rejected(unknown), "unknown-payment");
}

#[test]
fn that_an_earlier_charge_takes_nothing_says_nothing_of_the_corrected_one() {
    let mut corrected = processing();
    corrected.corrections.push(Uuid::from_u128(9));
    let (first, current) = (ChargeKey::first(corrected.order_id), corrected.charge_key());
    let hear = |charge, notice: &Notice| on_charge_notice(charge, Some(corrected.clone()), notice, &at(5));
    for takes_nothing in [refused(), Notice::Cancelled] {
        assert_eq!(hear(first, &takes_nothing), Ok(Step::Unchanged));
        let failed = moved(hear(current, &takes_nothing)).state.status;
        assert!(matches!(failed, Status::Failed { .. }), "{failed:?}");
    }
    // money is money, whichever charge took it
    let paid = moved(hear(first, &taken("ch_1"))).state.status;
    assert!(matches!(paid, Status::Completed { .. }), "{paid:?}");
    let unknown = on_charge_notice(first, None, &Notice::Cancelled, &at(5));
    assert_eq!(unknown.unwrap_err().class, "unknown-payment");
}
