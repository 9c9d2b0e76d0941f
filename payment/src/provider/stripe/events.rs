//! What a webhook event tells.

use super::refunding::{Settled, settled};
use super::verdict::Verdict;
use super::wire::{Charge, Event, Intent, Refund};

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
        _ => None,
    })
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
}
