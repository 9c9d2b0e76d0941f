//! A delivery: one notification on one way to its user. Each attempt is an action; when the next one is due is the
//! delivery's own to say, because a user's endpoint may be down for hours and is nobody else's trouble.

use chrono::{DateTime, Utc};
use contracts::{Aggregate, Context, EventId, Obsolete, Reaction, Step, Transition, UserId};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Attempts of one delivery at most, whoever asks for more.
pub const ATTEMPTS_MAX: u32 = 100;

/// One notification on one way to its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its own id; receivers know a webhook's message by it.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// What is delivered; none for a test.
    pub notification_id: Option<EventId>,
    /// Where to.
    pub target: Target,
    /// How it stands.
    pub status: Status,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts since it was last asked for.
    pub tries: u32,
    /// The attempt that this step was about; the store keeps them all.
    pub last: Option<Attempted>,
    /// When it was first wanted.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// Where a delivery goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The user's e-mail address.
    Email,
    /// That webhook.
    Webhook(Uuid),
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// An attempt is owed.
    Sending,
    /// The next attempt is due then.
    Waiting {
        /// When.
        until: DateTime<Utc>,
    },
    /// It arrived.
    Delivered,
    /// Given up.
    Failed,
    /// There is nobody to deliver it to any more.
    Dropped,
}

/// How one attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// Which one; the first is 1.
    pub number: u32,
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Why it failed; none when it did not.
    pub error: Option<String>,
    /// How the answer began.
    pub excerpt: Option<String>,
}

/// One attempt to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAction {
    /// The delivery.
    pub delivery_id: Uuid,
    /// The way.
    pub way: Way,
    /// Number of the attempt.
    pub attempt: u32,
    /// Attempts before it since the delivery was last asked for.
    pub tries: u32,
}

/// A way to a user outside the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// E-mail.
    Email,
    /// A webhook.
    Webhook,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered(Attempted),
    /// It did not, and is tried again then; given up when there is no such time.
    Failed(Attempted, Option<DateTime<Utc>>),
    /// No attempt could be made; it counts as none, and there is another then.
    PutOff(DateTime<Utc>),
    /// There is nobody to deliver it to.
    Dropped,
}

/// Why a delivery is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResendError {
    /// There is none.
    #[error("there is no such delivery")]
    NotFound,
    /// It was tried too often.
    #[error("it has been tried {ATTEMPTS_MAX} times, which is as often as a delivery may be")]
    TooOften,
}

/// A new delivery with its first attempt.
#[must_use]
pub fn start(
    user_id: UserId,
    notification_id: Option<EventId>,
    target: Target,
    context: &Context,
) -> Transition<Delivery, DeliveryAction> {
    let delivery = Delivery {
        id: context.fresh_id,
        user_id,
        notification_id,
        target,
        status: Status::Sending,
        attempts: 0,
        tries: 0,
        last: None,
        created_at: context.now,
        updated_at: context.now,
    };
    delivery.attempt(context)
}

/// The wait is over: the next attempt. Late or asked for twice, it does nothing.
#[must_use]
pub fn resume(delivery: Option<Delivery>, context: &Context) -> Step<Delivery, DeliveryAction> {
    match delivery {
        Some(delivery) if matches!(delivery.status, Status::Waiting { until } if until <= context.now) => {
            delivery.attempt(context).into()
        }
        Some(_) | None => Step::Unchanged,
    }
}

/// Its user wants it sent again, now. While an attempt is owed this is that attempt.
///
/// # Errors
/// [`ResendError`] when there is none, or it was tried too often.
pub fn resend(
    delivery: Option<Delivery>,
    context: &Context,
) -> Result<Step<Delivery, DeliveryAction>, ResendError> {
    let mut delivery = delivery.ok_or(ResendError::NotFound)?;
    if delivery.status == Status::Sending {
        return Ok(Step::Unchanged);
    }
    if delivery.attempts >= ATTEMPTS_MAX {
        return Err(ResendError::TooOften);
    }
    delivery.tries = 0;
    Ok(delivery.attempt(context).into())
}

/// What the attempt came to.
///
/// # Errors
/// None.
pub fn on_outcome(
    delivery: Option<Delivery>,
    outcome: &Outcome,
    context: &Context,
) -> Reaction<Delivery, DeliveryAction> {
    let Some(delivery) = delivery.filter(|delivery| delivery.status == Status::Sending) else {
        return Ok(Step::Unchanged);
    };
    let next = match outcome {
        Outcome::Delivered(attempted) => delivery.attempted(attempted, Status::Delivered),
        Outcome::Failed(attempted, None) => delivery.attempted(attempted, Status::Failed),
        Outcome::Failed(attempted, Some(_)) if attempted.number >= ATTEMPTS_MAX => {
            delivery.attempted(attempted, Status::Failed)
        }
        Outcome::Failed(attempted, Some(until)) => {
            delivery.attempted(attempted, Status::Waiting { until: *until })
        }
        Outcome::PutOff(until) => Some(delivery.is(Status::Waiting { until: *until })),
        Outcome::Dropped => Some(delivery.is(Status::Dropped)),
    };
    let Some(mut next) = next else {
        return Ok(Step::Unchanged);
    };
    next.updated_at = context.now;
    Ok(Transition::to(next).into())
}

/// Whether the attempt is still owed.
///
/// # Errors
/// Why it is not.
pub fn precondition(delivery: &Delivery, action: &DeliveryAction) -> Result<(), Obsolete> {
    if delivery.status != Status::Sending {
        return Err(Obsolete("the delivery waits for no attempt any more"));
    }
    if delivery.attempts.saturating_add(1) != action.attempt {
        return Err(Obsolete("the delivery is at another attempt"));
    }
    Ok(())
}

impl Delivery {
    fn attempt(self, context: &Context) -> Transition<Self, DeliveryAction> {
        let action = DeliveryAction {
            delivery_id: self.id,
            way: self.target.way(),
            attempt: self.attempts.saturating_add(1),
            tries: self.tries,
        };
        let mut sending = self.is(Status::Sending);
        sending.updated_at = context.now;
        Transition::to(sending).perform(action)
    }

    /// None when it is not about the attempt that is owed.
    fn attempted(self, attempted: &Attempted, status: Status) -> Option<Self> {
        if attempted.number != self.attempts.saturating_add(1) {
            return None;
        }
        let mut next = self.is(status);
        next.attempts = attempted.number;
        next.tries = next.tries.saturating_add(1);
        next.last = Some(attempted.clone());
        Some(next)
    }

    fn is(mut self, status: Status) -> Self {
        self.status = status;
        self.last = None;
        self
    }
}

impl Target {
    /// The way it goes.
    #[must_use]
    pub const fn way(self) -> Way {
        match self {
            Self::Email => Way::Email,
            Self::Webhook(_) => Way::Webhook,
        }
    }
}

impl Way {
    /// Its name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// A delivery announces nothing.
impl Aggregate for Delivery {
    fn next_sequence(&mut self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
