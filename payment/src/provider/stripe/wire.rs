//! Stripe's objects, as far as they matter here.

use serde::Deserialize;

/// A PaymentIntent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) amount_received: i64,
    #[serde(default)]
    pub(crate) cancellation_reason: Option<String>,
    #[serde(default)]
    pub(crate) last_payment_error: Option<ErrorBody>,
}

impl Intent {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.status == "canceled"
    }
}

/// A Refund.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) amount: i64,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) payment_intent: Option<String>,
}

/// A Charge: what a succeeded intent made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Charge {
    #[serde(default)]
    pub(crate) payment_intent: Option<String>,
    /// Whether all of it was given back.
    #[serde(default)]
    pub(crate) refunded: bool,
}

/// A Dispute, as it was when an event was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) reason: String,
    pub(crate) status: String,
    /// When it was opened, in seconds.
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) payment_intent: Option<String>,
    #[serde(default)]
    pub(crate) evidence_details: Option<EvidenceDetails>,
}

/// What a dispute says of the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct EvidenceDetails {
    /// Until when it can be submitted, in seconds; none or 0 where there is no deadline.
    #[serde(default)]
    pub(crate) due_by: Option<i64>,
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct List<T> {
    pub(crate) data: Vec<T>,
}

/// What an answer that is no success carries.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Failed {
    pub(crate) error: ErrorBody,
}

/// Stripe's own words for what went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorBody {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) decline_code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) param: Option<String>,
}

/// A webhook's body.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// When it was made, in seconds.
    #[serde(default)]
    pub(crate) created: Option<i64>,
    pub(crate) data: EventData,
}

/// What the event is about.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EventData {
    pub(crate) object: serde_json::Value,
}
