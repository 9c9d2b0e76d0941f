//! One attempt of one delivery. What goes wrong at a user's endpoint or mailbox is an outcome, which reacts; a failed
//! action, and so a dead letter in the end, is only what operators can mend.

mod email;
mod slots;
mod webhook;

use std::time::Duration;

use async_trait::async_trait;
use chassis::{Pool, clock};
use chrono::{DateTime, TimeDelta, Utc};
use messaging::{Action, ActionError, Attempt, Conn, Performer};
use rand::RngExt;

use crate::domain::{DeliveryAction, Outcome, Way};

pub(crate) use email::Mails;
pub(crate) use webhook::Webhooks;

impl Action for DeliveryAction {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Email => "email",
            Way::Webhook => "webhook",
        }
    }
}

/// Performs delivery actions.
pub(crate) struct Deliverer {
    pub(crate) pool: Pool,
    pub(crate) webhooks: Webhooks,
    pub(crate) mails: Mails,
}

#[async_trait]
impl Performer<DeliveryAction> for Deliverer {
    type Outcome = Outcome;

    async fn perform(&self, action: &DeliveryAction, _: Attempt) -> Result<Outcome, ActionError> {
        match action.way {
            Way::Email => self.mails.perform(&self.pool, action).await,
            Way::Webhook => self.webhooks.perform(&self.pool, action).await,
        }
    }
}

async fn connection(pool: &Pool) -> Result<impl std::ops::DerefMut<Target = Conn> + use<>, ActionError> {
    pool.get().await.map_err(down)
}

/// The database is down: nothing of any action's own.
fn down(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ActionError {
    ActionError::Outage(error.into())
}

/// A time from now, varied by up to a quarter, so that what failed together does not come back together.
fn later(wait: Duration) -> DateTime<Utc> {
    after(wait.mul_f64(rand::rng().random_range(0.75..=1.25)))
}

/// The same for a wait that somebody asked for: never shorter.
fn no_sooner(wait: Duration) -> DateTime<Utc> {
    after(wait.mul_f64(rand::rng().random_range(1.0..=1.25)))
}

fn after(wait: Duration) -> DateTime<Utc> {
    let ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    let now = clock::now();
    TimeDelta::try_milliseconds(ms)
        .and_then(|wait| now.checked_add_signed(wait))
        .unwrap_or(now)
}
