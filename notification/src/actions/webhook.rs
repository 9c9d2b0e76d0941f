//! A call to a user's webhook. Whatever it comes to is an outcome: an endpoint that does not answer is its user's to
//! mend, and must neither fill the operators' dead letters nor open the breaker for everybody else.

use std::time::Instant;

use anyhow::Context as _;
use chassis::{Pool, clock};
use messaging::ActionError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretSlice;
use serde::Serialize;
use tracing::debug;
use uuid::Uuid;

use super::slots::Slots;
use super::{connection, down, later, no_sooner};
use crate::config::WebhookSettings;
use crate::domain::{Attempted, DeliveryAction, Details, Outcome};
use crate::store::{Keys, WebhookTask, webhook_task};
use crate::webhooks::{CallError, Caller, Guard, Message, signatures};

/// The endpoint wants no more; asking again is no use.
const GONE: u16 = 410;

/// Calls users' webhooks.
pub(crate) struct Webhooks {
    caller: Caller,
    slots: Slots,
    settings: WebhookSettings,
}

/// The body of a message, in the shape that Standard Webhooks proposes.
#[derive(Serialize)]
struct Body {
    r#type: &'static str,
    timestamp: chrono::DateTime<chrono::Utc>,
    data: Data,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    Notification {
        notification_id: Uuid,
        order_id: Option<Uuid>,
        title: String,
        body: String,
        #[serde(flatten)]
        details: Details,
    },
    Test {
        webhook_id: Uuid,
    },
}

impl Webhooks {
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(guard: Guard, settings: WebhookSettings) -> anyhow::Result<Self> {
        let authorities = if settings.ca_file.is_empty() {
            Vec::new()
        } else {
            CertificateDer::pem_file_iter(&settings.ca_file)
                .and_then(Iterator::collect)
                .context("webhooks.ca_file has no PEM certificates")?
        };
        let read_max = usize::try_from(settings.answer_max_bytes).unwrap_or(usize::MAX);
        let excerpt_max = usize::from(settings.excerpt_max_chars);
        let slots = Slots::new(
            usize::from(settings.in_flight),
            usize::from(settings.in_flight_per_webhook),
        );
        Ok(Self {
            caller: Caller::new(guard, authorities, settings.timeout(), read_max, excerpt_max)?,
            slots,
            settings,
        })
    }

    pub(super) async fn perform(&self, pool: &Pool, action: &DeliveryAction) -> Result<Outcome, ActionError> {
        let mut conn = connection(pool).await?;
        let task = webhook_task(&mut conn, action.delivery_id).await.map_err(down)?;
        drop(conn);
        let Some(task) = task.filter(|task| task.webhook.enabled) else {
            return Ok(Outcome::Dropped);
        };
        let Some(_slot) = self.slots.take(task.webhook.id) else {
            let wait = std::time::Duration::from_millis(self.settings.busy_wait_ms.into());
            return Ok(Outcome::PutOff(later(wait)));
        };
        let outcome = self.attempt(action, &task).await?;
        Ok(outcome)
    }

    async fn attempt(&self, action: &DeliveryAction, task: &WebhookTask) -> Result<Outcome, ActionError> {
        let (at, began) = (clock::now(), Instant::now());
        let message = message(action.delivery_id, task, at.timestamp())?;
        let answer = self.caller.call(&task.webhook.url, message).await;
        let asked = answer.as_ref().ok().and_then(|answer| answer.retry_after);
        let mut attempted = Attempted {
            number: action.attempt,
            at,
            duration_ms: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX),
            status: None,
            error: None,
            excerpt: None,
        };
        match answer {
            Ok(answer) => {
                attempted.status = Some(answer.status);
                attempted.excerpt = Some(answer.excerpt).filter(|excerpt| !excerpt.is_empty());
                attempted.error = error_of(answer.status).map(ToOwned::to_owned);
            }
            Err(error) => {
                debug!(webhook.id = %task.webhook.id, error = class_of(&error), "a webhook was not reached");
                attempted.error = Some(class_of(&error).to_owned());
            }
        }
        if attempted.error.is_none() {
            return Ok(Outcome::Delivered(attempted));
        }
        let again = self.settings.retry_delay(action.tries);
        // a test's user is looking, and asks again; who is gone stays gone
        let again = again.filter(|_| task.told.is_some() && attempted.status != Some(GONE));
        let at = again.map(|wait| match asked {
            Some(asked) => no_sooner(self.settings.retry_after(asked)),
            None => later(wait),
        });
        Ok(Outcome::Failed(attempted, at))
    }
}

/// Why a status is not what was hoped for.
fn error_of(status: u16) -> Option<&'static str> {
    match status {
        200..=299 => None,
        300..=399 => Some("redirected"),
        GONE => Some("gone"),
        _ => Some("refused-by-receiver"),
    }
}

/// What its user is told of a call without an answer. No more: the details of connections are nobody's outside.
fn class_of(error: &CallError) -> &'static str {
    match error {
        CallError::Refused(_) => "address-not-allowed",
        CallError::Connect(_) => "no-connection",
        CallError::Tls(_) | CallError::Name(_) => "tls-failed",
        CallError::Http(_) | CallError::Request(_) => "no-http-answer",
        CallError::Timeout(_) => "timeout",
    }
}

fn message(delivery_id: Uuid, task: &WebhookTask, timestamp: i64) -> Result<Message, ActionError> {
    let body = serde_json::to_vec(&body(task))
        .map_err(|error| messaging::Failure::new("unwritable-message", error))?;
    let id = delivery_id.to_string();
    let keys = keys(&task.keys, timestamp);
    Ok(Message {
        signature: signatures(keys, &id, timestamp, &body),
        id,
        timestamp,
        body,
    })
}

fn body(task: &WebhookTask) -> Body {
    match &task.told {
        Some(told) => Body {
            r#type: told.notification.kind.as_str(),
            timestamp: told.notification.created_at,
            data: Data::Notification {
                notification_id: told.notification.id.uuid(),
                order_id: told.notification.order_id.map(contracts::OrderId::uuid),
                title: told.notification.title.clone(),
                body: told.notification.body.clone(),
                details: told.notification.details.clone(),
            },
        },
        None => Body {
            r#type: "test",
            timestamp: task.wanted_at,
            data: Data::Test {
                webhook_id: task.webhook.id,
            },
        },
    }
}

/// The secret, and the one before it for as long as it holds.
fn keys(keys: &Keys, timestamp: i64) -> Vec<&SecretSlice<u8>> {
    let previous = keys.previous.as_ref();
    let previous = previous.filter(|(_, until)| until.timestamp() > timestamp);
    std::iter::once(&keys.current)
        .chain(previous.map(|(secret, _)| secret))
        .collect()
}

#[cfg(test)]
mod tests;
