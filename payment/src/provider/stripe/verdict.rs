//! What the state of an intent means for its payment.

use super::decline::{self, AUTHENTICATION_REQUIRED};
use super::wire::Intent;

/// The reason given when an intent is cancelled because it waits for the customer.
pub(super) const ABANDONED: &str = "abandoned";
/// The reason given when an intent is cancelled because the order was.
pub(super) const REQUESTED: &str = "requested_by_customer";

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has not been confirmed: nothing has happened.
    Open,
    /// The money is taken: so much, in Stripe's unit.
    Taken(i64),
    /// Refused, with the code: no money is taken, and the intent is not confirmed again.
    Declined(String),
    /// Cancelled: no money is taken, and none will be.
    Cancelled,
    /// It waits for the customer, who is not there.
    Waiting,
    /// Nobody knows yet.
    Processing,
    /// Something that this code never asks for.
    Odd,
}

impl Verdict {
    pub(crate) fn of(intent: &Intent) -> Self {
        match intent.status.as_str() {
            "requires_confirmation" => Self::Open,
            "succeeded" => Self::Taken(intent.amount_received),
            // an intent has its method from the start, and loses it when it is refused
            "requires_payment_method" => {
                let error = intent.last_payment_error.clone().unwrap_or_default();
                Self::Declined(decline::code_of(&error))
            }
            _ if intent.is_cancelled() && intent.cancellation_reason.as_deref() == Some(ABANDONED) => {
                Self::Declined(AUTHENTICATION_REQUIRED.to_owned())
            }
            _ if intent.is_cancelled() => Self::Cancelled,
            "requires_action" => Self::Waiting,
            "processing" => Self::Processing,
            _ => Self::Odd,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_state_has_its_meaning() {
        let declined = |code: &str| Verdict::Declined(code.to_owned());
        for (status, expected) in [
            ("requires_confirmation", Verdict::Open),
            ("succeeded", Verdict::Taken(1999)),
            ("requires_payment_method", declined("expired_card")),
            ("canceled", Verdict::Cancelled),
            ("requires_action", Verdict::Waiting),
            ("processing", Verdict::Processing),
            ("requires_capture", Verdict::Odd),
            ("of_tomorrow", Verdict::Odd),
        ] {
            let intent = json!({
                "id": "pi_1", "status": status, "amount_received": 1999, "more": {},
                "last_payment_error": {"type": "card_error", "code": "expired_card"},
            });
            let intent: Intent = serde_json::from_value(intent).unwrap();
            assert_eq!(Verdict::of(&intent), expected, "{status}");
        }
        let abandoned = json!({"id": "pi_1", "status": "canceled", "cancellation_reason": "abandoned"});
        let abandoned: Intent = serde_json::from_value(abandoned).unwrap();
        assert_eq!(Verdict::of(&abandoned), declined("authentication_required"));
    }
}
