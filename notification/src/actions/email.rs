//! A mail. A server that is down or says "later" is waited for, with no attempt counted, but not for ever; a mailbox that
//! does not exist is the user's own; what is left failed on our side, and is a dead letter in the end.

use std::time::Duration;

use chassis::{Pool, clock};
use chrono::{DateTime, TimeDelta, Utc};
use messaging::{ActionError, Failure};
use tracing::warn;

use super::{connection, down, later};
use crate::config::EmailSettings;
use crate::domain::{Attempted, DeliveryAction, Outcome};
use crate::mail::{MailError, Mailer};
use crate::store::email_task;

/// Sends mails; none where no server is configured.
pub(crate) struct Mails {
    mailer: Option<Mailer>,
    settings: EmailSettings,
}

impl Mails {
    pub(crate) fn new(mailer: Option<Mailer>, settings: EmailSettings) -> Self {
        Self { mailer, settings }
    }

    pub(super) async fn perform(&self, pool: &Pool, action: &DeliveryAction) -> Result<Outcome, ActionError> {
        // wanted by a version or replica that had a server
        let Some(mailer) = &self.mailer else {
            return Ok(Outcome::Dropped);
        };
        let mut conn = connection(pool).await?;
        let task = email_task(&mut conn, action.delivery_id).await.map_err(down)?;
        drop(conn);
        let Some(task) = task else {
            return Ok(Outcome::Dropped);
        };
        let Some(address) = &task.address else {
            // the order may be told of before its user is
            return Ok(if is_over(task.wanted_at, self.settings.address_wait_s) {
                Outcome::Dropped
            } else {
                Outcome::PutOff(self.later())
            });
        };
        let at = clock::now();
        let sent = mailer
            .send(action.delivery_id, address, &task.told.notification)
            .await;
        let attempted = |error: Option<&str>| Attempted {
            number: action.attempt,
            at,
            duration_ms: u32::try_from((clock::now() - at).num_milliseconds()).unwrap_or_default(),
            status: None,
            error: error.map(ToOwned::to_owned),
            excerpt: None,
        };
        match sent {
            Ok(()) => Ok(Outcome::Delivered(attempted(None))),
            Err(MailError::NoMailbox(_)) => Ok(Outcome::Failed(attempted(Some("no-mailbox")), None)),
            Err(error @ (MailError::Later(_) | MailError::Server(_)))
                if is_over(task.wanted_at, self.settings.give_up_after_s) =>
            {
                Err(Failure::new(given_up(&error), error).into())
            }
            Err(error @ (MailError::Later(_) | MailError::Server(_))) => {
                warn!(delivery.id = %action.delivery_id, error = %error, "the mail server takes nothing, will try again");
                Ok(Outcome::PutOff(self.later()))
            }
            Err(error @ MailError::Refused(_)) => Err(Failure::new("smtp-refused", error).into()),
            Err(error @ MailError::Unwritable(_)) => Err(Failure::new("unwritable-mail", error).into()),
        }
    }

    fn later(&self) -> DateTime<Utc> {
        later(Duration::from_millis(self.settings.retry_wait_ms.into()))
    }
}

/// The class of a mail that was waited with for long enough.
const fn given_up(error: &MailError) -> &'static str {
    match error {
        MailError::Server(_) => "smtp-unreachable",
        MailError::Later(_) | MailError::NoMailbox(_) | MailError::Refused(_) | MailError::Unwritable(_) => {
            "smtp-later"
        }
    }
}

fn is_over(since: DateTime<Utc>, seconds: u32) -> bool {
    clock::now() - since > TimeDelta::seconds(seconds.into())
}
