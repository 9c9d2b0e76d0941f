use chrono::TimeDelta;
use contracts::{Currency, Event, OrderId, PaymentId, Topic, UserId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::Status;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn context() -> Context {
    Context {
        now: at(1_000),
        fresh_id: Uuid::from_u128(4),
        cause_id: Uuid::from_u128(5),
        correlation_id: Uuid::from_u128(1),
    }
}

fn undisputed() -> DisputedPayment {
    DisputedPayment {
        payment: Payment {
            id: PaymentId::new(Uuid::from_u128(2)),
            order_id: OrderId::new(Uuid::from_u128(1)),
            customer_id: UserId::new(Uuid::from_u128(3)),
            amount: Money::new(1_999, Currency::EUR),
            payment_method: "pm_card_visa".to_owned(),
            corrections: Vec::new(),
            provider: "stripe".to_owned(),
            status: Status::Completed {
                reference: "pi_1".to_owned(),
            },
            attempts: 1,
            announced: 1,
            created_at: at(0),
            updated_at: at(0),
        },
        disputes: Vec::new(),
    }
}

fn report(reported: i64, status: DisputeStatus, moved: Option<Moved>) -> DisputeReport {
    DisputeReport {
        reference: "dp_1".to_owned(),
        amount: Money::new(1_999, Currency::EUR),
        reason: "fraudulent".to_owned(),
        status,
        respond_by: Some(at(600)),
        opened_at: at(10),
        reported_at: at(reported),
        moved,
    }
}

/// What comes of the reports in this order: the payment, and the names and numbers of what was announced.
fn after(reports: &[DisputeReport]) -> (DisputedPayment, Vec<String>) {
    let mut told = Vec::new();
    let mut state = undisputed();
    for report in reports {
        match on_dispute_reported(Some(state.clone()), report, &context()).unwrap() {
            Step::Unchanged => {}
            Step::Next(next) => {
                for outgoing in &next.events {
                    let number = outgoing.sequence;
                    if let Event::PaymentDisputeClosed(fact) = &outgoing.event {
                        told.push(format!("{number} {}", fact.outcome.as_str()));
                    } else {
                        assert_eq!(outgoing.event.topic(), Topic::PaymentDisputed);
                        told.push(format!("{number} disputed"));
                    }
                }
                assert_eq!(next.actions, []);
                state = next.state;
            }
        }
    }
    assert_eq!(state.payment.status, undisputed().payment.status);
    (state, told)
}

#[test]
fn a_dispute_is_opened_and_lost() {
    use DisputeStatus::{Lost, NeedsResponse, UnderReview};
    let (state, told) = after(&[
        report(10, NeedsResponse, None),
        report(11, NeedsResponse, Some(Moved::Withdrawn)),
        report(20, UnderReview, None),
        report(30, Lost, None),
    ]);
    assert_eq!(told, ["2 disputed", "3 lost"]);
    let [dispute] = state.disputes.as_slice() else {
        panic!("{state:?}")
    };
    assert_eq!((dispute.status, dispute.closed_at), (Lost, Some(at(30))));
    assert_eq!(dispute.funds(), Funds::Withdrawn);
}

#[test]
fn what_is_over_when_it_is_heard_of_is_announced_as_opened_and_closed_and_older_reports_change_nothing() {
    use DisputeStatus::{Lost, NeedsResponse, UnderReview};
    let (state, told) = after(&[
        report(30, Lost, None),
        report(10, NeedsResponse, None),
        report(20, UnderReview, None),
        report(30, Lost, None),
    ]);
    assert_eq!(told, ["2 disputed", "3 lost"]);
    assert_eq!(state.disputes.len(), 1);
    assert_eq!(state.disputes[0].status, Lost);
}

#[test]
fn a_decision_that_is_reversed_is_announced_again_and_an_inquiry_may_be_taken_up_again() {
    use DisputeStatus::{Lost, NeedsResponse, WarningClosed, WarningNeedsResponse, Won};
    let (state, told) = after(&[
        report(10, WarningNeedsResponse, None),
        report(20, WarningClosed, None),
        report(30, NeedsResponse, Some(Moved::Withdrawn)),
        report(40, Lost, None),
        report(50, Won, None),
        report(51, Won, Some(Moved::Reinstated)),
    ]);
    assert_eq!(
        told,
        ["2 disputed", "3 warning_closed", "4 disputed", "5 lost", "6 won"]
    );
    assert_eq!(state.disputes[0].funds(), Funds::Reinstated);
    assert_eq!(state.disputes[0].closed_at, Some(at(50)));
}

#[test]
fn each_dispute_of_a_payment_is_one_of_its_own() {
    let mut second = report(40, DisputeStatus::NeedsResponse, None);
    second.reference = "dp_2".to_owned();
    let (state, told) = after(&[report(10, DisputeStatus::Won, None), second]);
    assert_eq!(told, ["2 disputed", "3 won", "4 disputed"]);
    assert_eq!(state.disputes.len(), 2);
}

#[test]
fn a_dispute_of_no_known_payment_is_rejected() {
    let rejected = on_dispute_reported(None, &report(10, DisputeStatus::Won, None), &context());
    assert_eq!(rejected.unwrap_err().class, "unknown-payment");
}

#[test]
fn a_status_is_read_as_it_is_written() {
    for status in DisputeStatus::ALL {
        assert_eq!(DisputeStatus::from_name(status.as_str()), Some(status));
        let outcome = status.outcome();
        assert!(outcome.is_none_or(|outcome| outcome.as_str() == status.as_str()));
    }
    assert_eq!(DisputeStatus::from_name("of_tomorrow"), None);
}

/// What a dispute at Stripe goes through, each second one report.
fn lives() -> impl Strategy<Value = Vec<DisputeReport>> {
    use DisputeStatus::{Lost, NeedsResponse, UnderReview, Won};
    let inquiry = prop::bool::ANY;
    (inquiry, prop::bool::ANY).prop_map(|(inquiry, won)| {
        let mut life = Vec::new();
        if inquiry {
            life.push((DisputeStatus::WarningNeedsResponse, None));
        }
        life.push((NeedsResponse, None));
        life.push((NeedsResponse, Some(Moved::Withdrawn)));
        life.push((UnderReview, None));
        life.push((if won { Won } else { Lost }, None));
        if won {
            life.push((Won, Some(Moved::Reinstated)));
        }
        let number = |index: usize| i64::try_from(index).unwrap() / 2 + 10;
        life.into_iter()
            .enumerate()
            .map(|(index, (status, moved))| report(number(index), status, moved))
            .collect()
    })
}

proptest! {
    /// Reports in any order, each once or more often: the dispute ends as it does in their own order, and what is announced
    /// ends with its outcome.
    #[test]
    fn any_order_and_number_of_reports_comes_to_the_same(
        life in lives(),
        places in prop::collection::vec(0..64_usize, 0..24),
        shuffle in prop::collection::vec(any::<u32>(), 64),
    ) {
        let expected = after(&life).0;
        let mut delivered: Vec<_> = life.iter().enumerate().collect();
        delivered.extend(places.iter().map(|place| {
            let index = place % life.len();
            (index, &life[index])
        }));
        let mut delivered: Vec<_> = delivered
            .into_iter()
            .zip(shuffle)
            .map(|((_, report), key)| (key, report.clone()))
            .collect();
        delivered.sort_by_key(|(key, _)| *key);
        let delivered: Vec<_> = delivered.into_iter().map(|(_, report)| report).collect();
        let (state, told) = after(&delivered);
        let facts = |state: &DisputedPayment| {
            let dispute = &state.disputes[0];
            (dispute.status, dispute.closed_at, dispute.funds(), dispute.reported_at)
        };
        prop_assert_eq!(facts(&state), facts(&expected));
        prop_assert_eq!(told.len(), 2, "{:?}", told);
        prop_assert!(told[0] == "2 disputed" && told[1].ends_with(state.disputes[0].status.as_str()));
    }
}
