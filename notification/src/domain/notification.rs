//! A notification: one fact, told to the user whom it concerns.

use chrono::{DateTime, Utc};
use contracts::{Aggregate, Context, EventId, OrderId, Reaction, Step, Transition, UserId};
use uuid::Uuid;

use super::details::{Detailed, Details};

/// What a user is told of one fact. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The event that it tells of; also its own id, so that there is one an event.
    pub id: EventId,
    /// Who is told.
    pub user_id: UserId,
    /// The order it is about; none when it is about the account.
    pub order_id: Option<OrderId>,
    /// What happened.
    pub kind: Kind,
    /// The way it takes to the user.
    pub channel: Channel,
    /// A few words.
    pub title: String,
    /// A sentence or two.
    pub body: String,
    /// When it happened, to the millisecond: the time in the event's id, so that notifications ordered by id are
    /// ordered by time.
    pub created_at: DateTime<Utc>,
    /// Where the user's e-mail goes from now on, where the fact says so.
    pub address: Option<Address>,
    /// The same in figures.
    pub details: Details,
}

/// An e-mail address. It is nowhere printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// An address as somebody registered it.
    #[must_use]
    pub const fn new(address: String) -> Self {
        Self(address)
    }

    /// The address itself, for whoever writes to it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address")
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The account was made.
    Welcome,
    /// An order was placed.
    OrderCreated,
    /// Its payment arrived.
    PaymentCompleted,
    /// It will be fulfilled.
    OrderConfirmed,
    /// Its payment was refused.
    PaymentFailed,
    /// It will not be fulfilled.
    OrderCancelled,
    /// Its money was given back.
    PaymentRefunded,
    /// A webhook of the user's was disabled.
    WebhookDisabled,
}

/// The way to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The list that the user sees in the application.
    InApp,
}

/// A fact that a user is told of, and how it is put.
pub trait Wording {
    /// What kind of notification it makes.
    const KIND: Kind;
    /// Whom it concerns.
    fn user_id(&self) -> UserId;
    /// The order it is about, if it is about one.
    fn order_id(&self) -> Option<OrderId>;
    /// A few words.
    fn title(&self) -> &'static str;
    /// A sentence or two.
    fn body(&self) -> String;
    /// The user's e-mail address, where the fact has it.
    fn address(&self) -> Option<Address> {
        None
    }
}

/// Tells a fact, once.
///
/// # Errors
/// None: whatever was announced is told.
pub fn notify<F: Wording + Detailed>(
    told: Option<Notification>,
    fact: &F,
    context: &Context,
) -> Reaction<Notification> {
    if told.is_some() {
        return Ok(Step::Unchanged);
    }
    let notification = Notification {
        id: EventId::new(context.cause_id),
        user_id: fact.user_id(),
        order_id: fact.order_id(),
        kind: F::KIND,
        channel: Channel::InApp,
        title: fact.title().to_owned(),
        body: fact.body(),
        created_at: time_of(context.cause_id).unwrap_or(context.now),
        address: fact.address(),
        details: fact.details(),
    };
    Ok(Transition::to(notification).into())
}

/// Tells a user that a webhook of theirs gets nothing any more. `id` is fresh.
#[must_use]
pub fn webhook_disabled(id: Uuid, user_id: UserId, host: &str, now: DateTime<Utc>) -> Notification {
    Notification {
        id: EventId::new(id),
        user_id,
        order_id: None,
        kind: Kind::WebhookDisabled,
        channel: Channel::InApp,
        title: "Webhook disabled".to_owned(),
        body: format!(
            "Your webhook at {host} has been disabled because its deliveries failed. \
             Enable it again once it is well; missed deliveries can be sent again from its list."
        ),
        created_at: time_of(id).unwrap_or(now),
        address: None,
        details: Details::default(),
    }
}

/// The time in a version 7 UUID.
fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

/// A notification announces nothing.
impl Aggregate for Notification {
    fn next_sequence(&mut self) -> u64 {
        0
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Welcome,
        Self::OrderCreated,
        Self::PaymentCompleted,
        Self::OrderConfirmed,
        Self::PaymentFailed,
        Self::OrderCancelled,
        Self::PaymentRefunded,
        Self::WebhookDisabled,
    ];

    /// Its name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::OrderCreated => "order_created",
            Self::PaymentCompleted => "payment_completed",
            Self::OrderConfirmed => "order_confirmed",
            Self::PaymentFailed => "payment_failed",
            Self::OrderCancelled => "order_cancelled",
            Self::PaymentRefunded => "payment_refunded",
            Self::WebhookDisabled => "webhook_disabled",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Channel {
    /// Its name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InApp => "in_app",
        }
    }

    /// The channel of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::InApp].into_iter().find(|channel| channel.as_str() == name)
    }
}

#[cfg(test)]
mod tests;
