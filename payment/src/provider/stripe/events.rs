//! What a webhook event tells.

use chrono::{DateTime, Utc};
use contracts::Currency;
use serde::de::Error;

use super::amount::from_stripes_unit;
use super::refunding::{Settled, settled};
use super::verdict::Verdict;
use super::wire::{Charge, Dispute, Event, Intent, Refund};
use crate::domain::{DisputeReport, DisputeStatus, Moved};

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Stripe's id of it.
    pub(crate) intent: String,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// So much was taken, in Stripe's unit.
    Taken(i64),
    Declined(String),
    Cancelled,
    /// So much was given back.
    GivenBack {
        refund: String,
        amount: i64,
    },
    /// All was given back; by which refund, must be looked up.
    AllGivenBack,
    /// Money that was to go back does not.
    RefundFailed {
        refund: String,
    },
    /// Its money is disputed.
    Disputed(DisputeReport),
    /// Something that this code does not understand, and what: a person must look.
    Unclear(String),
}

/// What the event tells; none when that does not matter here.
///
/// # Errors
/// When its object is not what its type says.
pub(crate) fn read(event: &Event) -> Result<Option<Told>, serde_json::Error> {
    let object = || event.data.object.clone();
    Ok(match event.kind.as_str() {
        "payment_intent.succeeded" | "payment_intent.payment_failed" | "payment_intent.canceled" => {
            of_intent(&serde_json::from_value(object())?)
        }
        "charge.refunded" => of_charge(serde_json::from_value(object())?),
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            of_refund(serde_json::from_value(object())?)
        }
        "charge.dispute.created" | "charge.dispute.updated" | "charge.dispute.closed" => {
            of_dispute(event, serde_json::from_value(object())?, None)?
        }
        "charge.dispute.funds_withdrawn" => {
            of_dispute(event, serde_json::from_value(object())?, Some(Moved::Withdrawn))?
        }
        "charge.dispute.funds_reinstated" => {
            of_dispute(event, serde_json::from_value(object())?, Some(Moved::Reinstated))?
        }
        _ => None,
    })
}

/// The event carries the dispute as it was then, and when that was.
fn of_dispute(
    event: &Event,
    dispute: Dispute,
    moved: Option<Moved>,
) -> Result<Option<Told>, serde_json::Error> {
    let reported_at = event.created.and_then(time);
    let reported_at = reported_at.ok_or_else(|| serde_json::Error::missing_field("created"))?;
    let opened_at =
        time(dispute.created).ok_or_else(|| serde_json::Error::custom("the dispute's created is no time"))?;
    let Some(intent) = dispute.payment_intent.clone() else {
        return Ok(None);
    };
    let what = match report(dispute, opened_at, reported_at, moved) {
        Ok(report) => What::Disputed(report),
        Err(unclear) => What::Unclear(unclear),
    };
    Ok(Some(Told { intent, what }))
}

fn report(
    dispute: Dispute,
    opened_at: DateTime<Utc>,
    reported_at: DateTime<Utc>,
    moved: Option<Moved>,
) -> Result<DisputeReport, String> {
    let Dispute {
        id, amount, currency, ..
    } = &dispute;
    let status = DisputeStatus::from_name(&dispute.status)
        .ok_or_else(|| format!("the dispute {id} is {:?}, which is unknown here", dispute.status))?;
    let money = Currency::from_code(&currency.to_uppercase())
        .and_then(|currency| from_stripes_unit(*amount, currency))
        .filter(|money| money.amount_minor() > 0)
        .ok_or_else(|| format!("the dispute {id} is of {amount} {currency:?}, which is no amount"))?;
    let due_by = dispute.evidence_details.and_then(|evidence| evidence.due_by);
    Ok(DisputeReport {
        reference: dispute.id,
        amount: money,
        reason: dispute.reason,
        status,
        respond_by: due_by.filter(|due_by| *due_by > 0).and_then(time),
        opened_at,
        reported_at,
        moved,
    })
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

/// The event carries the intent as it was then.
fn of_intent(intent: &Intent) -> Option<Told> {
    let what = match Verdict::of(intent) {
        Verdict::Taken(amount) => What::Taken(amount),
        Verdict::Declined(code) => What::Declined(code),
        Verdict::Cancelled => What::Cancelled,
        Verdict::Open | Verdict::Waiting | Verdict::Processing | Verdict::Odd => return None,
    };
    Some(Told {
        intent: intent.id.clone(),
        what,
    })
}

fn of_charge(charge: Charge) -> Option<Told> {
    let intent = charge.payment_intent.filter(|_| charge.refunded)?;
    Some(Told {
        intent,
        what: What::AllGivenBack,
    })
}

fn of_refund(refund: Refund) -> Option<Told> {
    let settled = settled(&refund);
    let Refund {
        id: refund,
        amount,
        payment_intent,
        ..
    } = refund;
    let what = match settled {
        Settled::Done => What::GivenBack { refund, amount },
        Settled::Failed => What::RefundFailed { refund },
        Settled::Pending => return None,
    };
    Some(Told {
        intent: payment_intent?,
        what,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(kind: &str, object: Value) -> Result<Option<What>, serde_json::Error> {
        let event = json!({"id": "evt_1", "type": kind, "data": {"object": object}});
        let told = read(&serde_json::from_value(event).unwrap())?;
        Ok(told.map(|told| {
            assert_eq!(told.intent, "pi_1");
            told.what
        }))
    }

    #[test]
    fn an_event_tells_what_became_of_its_intent() {
        let intent = |status: &str| json!({"id": "pi_1", "status": status, "amount_received": 1999});
        let refund =
            |status: &str| json!({"id": "re_1", "amount": 1999, "status": status, "payment_intent": "pi_1"});
        let given_back = What::GivenBack {
            refund: "re_1".to_owned(),
            amount: 1999,
        };
        let failed = What::RefundFailed {
            refund: "re_1".to_owned(),
        };
        let charge = |refunded| json!({"id": "ch_1", "payment_intent": "pi_1", "refunded": refunded});
        for (kind, object, expected) in [
            (
                "payment_intent.succeeded",
                intent("succeeded"),
                Some(What::Taken(1999)),
            ),
            (
                "payment_intent.payment_failed",
                intent("requires_payment_method"),
                Some(What::Declined("card_declined".to_owned())),
            ),
            (
                "payment_intent.canceled",
                intent("canceled"),
                Some(What::Cancelled),
            ),
            ("refund.updated", refund("succeeded"), Some(given_back.clone())),
            ("refund.created", refund("pending"), None),
            ("refund.failed", refund("failed"), Some(failed)),
            ("charge.refunded", charge(true), Some(What::AllGivenBack)),
            ("charge.refunded", charge(false), None),
            (
                "charge.refunded",
                json!({"id": "ch_1", "payment_intent": null, "refunded": true}),
                None,
            ),
            ("customer.created", json!({"id": "cus_1"}), None),
        ] {
            assert_eq!(told(kind, object).unwrap(), expected, "{kind}");
        }
        assert!(told("payment_intent.succeeded", json!({"id": 1})).is_err());
    }

    fn dispute(with: &Value) -> Value {
        let mut dispute = json!({
            "id": "dp_1", "object": "dispute", "amount": 1999, "currency": "eur", "reason": "fraudulent",
            "status": "needs_response", "created": 100, "charge": "ch_1", "payment_intent": "pi_1",
            "evidence_details": {"due_by": 900, "has_evidence": false},
        });
        let members = with.as_object().unwrap().clone();
        dispute.as_object_mut().unwrap().extend(members);
        dispute
    }

    fn told_at(kind: &str, created: &Value, object: &Value) -> Result<Option<What>, serde_json::Error> {
        let event = json!({"id": "evt_1", "type": kind, "created": created, "data": {"object": object}});
        Ok(read(&serde_json::from_value(event).unwrap())?.map(|told| told.what))
    }

    #[test]
    fn a_dispute_is_told_with_its_time_and_what_moved() {
        for (kind, moved) in [
            ("created", None),
            ("updated", None),
            ("closed", None),
            ("funds_withdrawn", Some(Moved::Withdrawn)),
            ("funds_reinstated", Some(Moved::Reinstated)),
        ] {
            let kind = format!("charge.dispute.{kind}");
            let told = told_at(&kind, &json!(120), &dispute(&json!({}))).unwrap();
            let expected = DisputeReport {
                reference: "dp_1".to_owned(),
                amount: contracts::Money::new(1999, Currency::EUR),
                reason: "fraudulent".to_owned(),
                status: DisputeStatus::NeedsResponse,
                respond_by: time(900),
                opened_at: time(100).unwrap(),
                reported_at: time(120).unwrap(),
                moved,
            };
            assert_eq!(told, Some(What::Disputed(expected)));
        }
    }

    #[test]
    fn a_dispute_that_is_not_understood_is_for_a_person() {
        const KIND: &str = "charge.dispute.updated";
        for with in [
            json!({"status": "of_tomorrow"}),
            json!({"currency": "shells"}),
            json!({"amount": 0}),
        ] {
            let told = told_at(KIND, &json!(120), &dispute(&with)).unwrap();
            assert!(matches!(told, Some(What::Unclear(_))), "{with}: {told:?}");
        }
        for due_by in [json!(null), json!(0)] {
            let with = json!({"evidence_details": {"due_by": due_by}});
            let Some(What::Disputed(told)) = told_at(KIND, &json!(120), &dispute(&with)).unwrap() else {
                panic!("{with}")
            };
            assert_eq!(told.respond_by, None);
        }
        let without_intent = dispute(&json!({"payment_intent": null}));
        assert_eq!(told_at(KIND, &json!(120), &without_intent).unwrap(), None);
        assert!(told_at(KIND, &json!(null), &dispute(&json!({}))).is_err());
        assert!(told_at(KIND, &json!(120), &dispute(&json!({"created": i64::MAX}))).is_err());
        assert!(told_at(KIND, &json!(120), &json!({"id": "dp_1"})).is_err());
    }
}
