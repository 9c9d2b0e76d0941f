//! What was read out, before anything is compared.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{Event, Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::desk::Desk;

/// Everything that was read out, from the moment [`Self::begun_at`] on.
#[derive(Debug, Clone)]
pub struct Reading {
    /// When reading began.
    pub begun_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: DateTime<Utc>,
    /// Orders, as the order service has them.
    pub orders: Vec<Order>,
    /// Payments, as the payment service has them.
    pub payments: Vec<Payment>,
    /// The provider's own books.
    pub charges: Option<Vec<Charge>>,
    /// Accounts.
    pub users: Option<Vec<User>>,
    /// What users have been told.
    pub notifications: Option<Vec<Notification>>,
    /// What the gateway has written down.
    pub timeline: Option<Vec<TimelineRow>>,
    /// Facts, from the topics themselves or from the gateway's timeline.
    pub facts: Vec<Fact>,
    /// Where [`Self::facts`] are from.
    pub facts_from: FactsFrom,
    /// Dead letters as they were announced.
    pub dead_letters: Vec<DeadLetter>,
    /// Records that are no events.
    pub unreadable: Vec<Unreadable>,
    /// The tables that the kernel keeps for each service, by its name.
    pub desks: BTreeMap<String, Desk>,
    /// Orders that a client was told of; those in the stored answers of idempotency keys included.
    pub accepted: HashSet<Uuid>,
    /// Older records may have been dropped from the topics, or lie outside the window: what began before is compared
    /// as far as it can be.
    pub horizon: Option<DateTime<Utc>>,
    /// The same for the topics of dead letters.
    pub letters_horizon: Option<DateTime<Utc>>,
    /// What a reader of the report should know about how it was read.
    pub notes: Vec<String>,
}

/// Where facts were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactsFrom {
    /// On the topics.
    Topics,
    /// In the gateway's timeline.
    Timeline,
}

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What happened so shortly before the reading began is in flight.
    pub grace: TimeDelta,
    /// How long an order may be pending.
    pub order_deadline: TimeDelta,
    /// How long a payment may be processing or refunding.
    pub payment_deadline: TimeDelta,
    /// How long a row may lie in an outbox, work be due, or a record be unread.
    pub backlog: TimeDelta,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            grace: TimeDelta::seconds(3),
            order_deadline: TimeDelta::seconds(15 * 60 + 60),
            payment_deadline: TimeDelta::seconds(15 * 60 + 60),
            backlog: TimeDelta::minutes(5),
        }
    }
}

/// An amount of some currency, whether that currency exists or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = Money)]
pub struct Amount {
    /// Whole minor units of the currency.
    #[schema(example = 1999)]
    pub amount_minor: i64,
    /// ISO 4217 code.
    #[schema(example = "EUR")]
    pub currency: String,
}

impl Amount {
    /// `amount_minor` of `currency`.
    pub fn new(amount_minor: i64, currency: impl Into<String>) -> Self {
        Self {
            amount_minor,
            currency: currency.into(),
        }
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self::new(money.amount_minor(), money.currency().code())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (minor units)", self.amount_minor, self.currency)
    }
}

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

/// One charge in the provider's books.
#[derive(Debug, Clone, Deserialize)]
pub struct Charge {
    /// The key it was asked for under: the order's id.
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

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// One fact. Published again after a crash, it stands in several places.
#[derive(Debug, Clone)]
pub struct Fact {
    /// The event's id.
    pub id: Uuid,
    /// Who announced it.
    pub source: String,
    /// The aggregate it is about.
    pub key: Uuid,
    /// Its number among the events of its aggregate.
    pub sequence: u64,
    /// When it was announced.
    pub time: DateTime<Utc>,
    /// The saga.
    pub correlation_id: Uuid,
    /// The event or request that led to it.
    pub causation_id: Uuid,
    /// What it says.
    pub event: Event,
    /// Where it stands, the first place first; nowhere when it was read in the timeline.
    pub places: Vec<Place>,
}

impl Fact {
    /// Its topic's name.
    #[must_use]
    pub const fn topic(&self) -> &'static str {
        self.event.topic().name()
    }
}

/// A dead letter as it was announced.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The record's own event id.
    pub record_id: Uuid,
    /// Whose it is.
    pub service: String,
    /// The row that it left in that service's database.
    pub work_id: Uuid,
    /// `message`, `action` or `publication`.
    pub kind: String,
    /// The topic or action.
    pub name: String,
    /// The aggregate.
    pub key: Option<Uuid>,
    /// The event that died, or that led to the action that died.
    pub event_id: Option<Uuid>,
    /// When it died.
    pub time: DateTime<Utc>,
    /// Where it stands.
    pub places: Vec<Place>,
}

/// A record that is no event.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Where it stands.
    pub place: Place,
    /// Its id, when at least its envelope can be read.
    pub id: Option<Uuid>,
    /// Its Kafka key, when that is an aggregate.
    pub key: Option<Uuid>,
    /// When it was written.
    pub time: DateTime<Utc>,
    /// What is wrong with it.
    pub reason: String,
}

/// The time inside a version 7 UUID.
#[must_use]
pub fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}
