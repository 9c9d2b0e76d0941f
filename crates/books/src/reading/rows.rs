//! Rows of the services' own tables, or what their interfaces show of them.

use chrono::{DateTime, Utc};
use contracts::Event;
use contracts::events::DisputeOutcome;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Amount;

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub enum OrderStatus {
    Pending,
    Confirmed,
    Cancelled,
}

impl OrderStatus {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One order.
#[derive(Debug, Clone, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub customer_id: Uuid,
    /// How far it is.
    pub status: OrderStatus,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// What it costs.
    pub total: Amount,
    /// How it is paid.
    pub payment_method: String,
    /// The payment that covers it, where it is shown.
    pub payment_id: Option<Uuid>,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// More about the reason.
    pub code: Option<String>,
    /// Whether it knows of its refund.
    pub refunded: bool,
    /// Number of the last event announced, where it is shown.
    pub announced: Option<u64>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// Stock keeping unit.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// The price of one.
    pub unit_price: Amount,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub enum PaymentStatus {
    Processing,
    Completed,
    Failed,
    Voided,
    Refunding,
    Refunded,
}

impl PaymentStatus {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Voided => "voided",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }

    /// Whether it will change again by itself.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Processing | Self::Refunding)
    }

    /// Whether the provider has taken money at some time.
    #[must_use]
    pub const fn took_money(self) -> bool {
        matches!(self, Self::Completed | Self::Refunding | Self::Refunded)
    }
}

/// The payment of one order.
#[derive(Debug, Clone, Deserialize)]
pub struct Payment {
    /// Its own id.
    pub id: Uuid,
    /// The order it pays for.
    pub order_id: Uuid,
    /// Who pays.
    pub customer_id: Uuid,
    /// How much.
    pub amount: Amount,
    /// How far it is.
    pub status: PaymentStatus,
    /// Who takes the money: `simulated` or `stripe`.
    pub provider: String,
    /// The provider's id of the charge.
    pub provider_reference: Option<String>,
    /// The provider's id of the refund.
    pub refund_reference: Option<String>,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// Number of the last event announced, where it is shown.
    pub announced: Option<u64>,
    /// When the order was heard of.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A dispute of a payment.
#[derive(Debug, Clone, Deserialize)]
pub struct Dispute {
    /// Its own id.
    pub id: Uuid,
    /// The payment whose money is disputed.
    pub payment_id: Uuid,
    /// The order that it pays for.
    pub order_id: Uuid,
    /// How much.
    pub amount: Amount,
    /// How far it is, in the provider's words; those of its endings are the outcomes that are announced.
    pub status: String,
    /// Why, where it is shown.
    pub reason: Option<String>,
    /// Until when it can be answered, where that is known.
    pub respond_by: Option<DateTime<Utc>>,
    /// The provider's id of it, where it is shown.
    pub provider_reference: Option<String>,
    /// When it was first heard of.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Dispute {
    /// How it ended; none while it is open.
    #[must_use]
    pub fn outcome(&self) -> Option<DisputeOutcome> {
        DisputeOutcome::from_name(&self.status)
    }
}

/// One charge in the provider's books.
#[derive(Debug, Clone, Deserialize)]
pub struct Charge {
    /// The key it was asked for under: the order's id, `<order>`, or after a correction by an operator `<order>.<letter>`.
    pub idempotency_key: String,
    /// How much.
    pub amount: Amount,
    /// `open`, `approved`, `declined` or `voided`.
    pub status: String,
    /// The provider's id of the charge.
    pub reference: Option<String>,
    /// Why it was declined.
    pub failure_code: Option<String>,
    /// The provider's id of the refund, when it was given back.
    pub refund_reference: Option<String>,
    /// When it was first asked for.
    pub created_at: DateTime<Utc>,
}

impl Charge {
    /// The order that its key names; none where it is no key of ours.
    #[must_use]
    pub fn order(&self) -> Option<Uuid> {
        let (order, letter) = match self.idempotency_key.split_once('.') {
            Some((order, letter)) => (order, Some(letter)),
            None => (self.idempotency_key.as_str(), None),
        };
        let is_id = |text: &str| text.parse::<Uuid>().is_ok();
        letter.is_none_or(is_id).then(|| order.parse().ok()).flatten()
    }
}

/// One account.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Number of the last event announced.
    pub announced: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a user has been told.
#[derive(Debug, Clone, Deserialize)]
pub struct Notification {
    /// The event's id.
    pub id: Uuid,
    /// Who was told.
    pub user_id: Uuid,
    /// About which order.
    pub order_id: Option<Uuid>,
    /// Of what.
    pub kind: String,
    /// The time in the event's id.
    pub created_at: DateTime<Utc>,
}

/// What the order service keeps for those who follow an order.
#[derive(Debug, Clone)]
pub struct OrderFact {
    /// The order.
    pub order_id: Uuid,
    /// The number of the event among the order's.
    pub sequence: u64,
    /// What it says; none where that cannot be read.
    pub event: Option<Event>,
}

/// A notification on its way out of the application.
#[derive(Debug, Clone, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: Uuid,
    /// `sending`, `waiting`, `delivered`, `failed` or `dropped`.
    pub status: String,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Delivery {
    /// Whether an attempt is owed.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.status == "sending"
    }
}

/// A row of the gateway's timeline.
#[derive(Debug, Clone)]
pub struct TimelineRow {
    /// The event.
    pub event_id: Uuid,
    /// The order it is about.
    pub order_id: Option<Uuid>,
    /// The topic.
    pub topic: String,
    /// Who announced it.
    pub source: String,
    /// Its cause.
    pub causation_id: Uuid,
    /// Its saga.
    pub correlation_id: Uuid,
    /// Its number.
    pub sequence: u64,
    /// What it says, where it is a fact about an order or payment.
    pub event: Option<Event>,
    /// When it was written down.
    pub recorded_at: DateTime<Utc>,
}
