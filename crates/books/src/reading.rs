//! What was read out, before anything is compared.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::Money;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

mod records;
mod rows;

pub use records::{DeadLetter, Fact, Place, Unreadable};
pub use rows::{
    Charge, Delivery, Dispute, Line, Notification, Order, OrderFact, OrderStatus, Payment, PaymentStatus,
    TimelineRow, User,
};

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
    /// Disputes of payments, as the payment service has them. Where the reading has a window, open ones of payments before it
    /// are among them.
    pub disputes: Vec<Dispute>,
    /// The provider's own books.
    pub charges: Option<Vec<Charge>>,
    /// Accounts.
    pub users: Option<Vec<User>>,
    /// What the order service shows those who follow an order.
    pub order_facts: Option<Vec<OrderFact>>,
    /// What users have been told.
    pub notifications: Option<Vec<Notification>>,
    /// What users are told by e-mail and webhooks.
    pub deliveries: Option<Vec<Delivery>>,
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
    /// Entries of the timeline that are no events.
    pub unreadable_entries: u64,
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
    /// How long after that an order may be held back because the order service has not read or applied what was said
    /// about payments.
    pub held_back: TimeDelta,
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
            held_back: TimeDelta::hours(24),
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

/// The time inside a version 7 UUID.
#[must_use]
pub fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}
