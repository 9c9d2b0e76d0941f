//! Every topic, data and dead letters, into the timeline; but for logins that end, which are nobody's saga.

use contracts::{Context, NoAction, Reaction, Rejection, Topic, UserId};
use messaging::{Message, Participant, uuid_key};
use serde_json::{Value, json};

use crate::domain::entry::{self, Entry};
use crate::store::timeline::TimelineRepository;

/// Listens to everything there is to tell.
#[must_use]
pub fn participant() -> Participant<TimelineRepository> {
    Topic::ALL
        .into_iter()
        .filter(|topic| *topic != Topic::SessionRevoked)
        .fold(Participant::new(TimelineRepository), |participant, topic| {
            participant.on_any(topic, write_down)
        })
}

fn write_down(recorded: Option<Entry>, message: &Message, _context: &Context) -> Reaction<Entry, NoAction> {
    let topic: Topic = message
        .record
        .origin
        .topic
        .parse()
        .map_err(|error| Rejection::new("unknown-topic", error))?;
    entry::record(recorded, entry_of(topic, message))
}

fn entry_of(topic: Topic, message: &Message) -> Entry {
    let envelope = &message.envelope;
    let body = body(message);
    let key = uuid_key(message.record.key.as_deref());
    Entry {
        event_id: envelope.id,
        order_id: entry::order_of(topic, message.record.headers.text("x-dead-letter-name"), key),
        customer_id: customer(&body),
        kind: topic.name().to_owned(),
        source: envelope.source.clone(),
        occurred_at: envelope.time,
        causation_id: envelope.causation_id,
        correlation_id: envelope.correlation_id,
        sequence: i64::try_from(envelope.sequence).unwrap_or(i64::MAX),
        data: if topic.is_dead_letter() {
            circumstances(message)
        } else {
            entry::kept(topic, body)
        },
    }
}

/// A body that is not JSON is told as such: the timeline judges nobody's messages.
fn body(message: &Message) -> Value {
    let bytes = message.record.payload.as_deref().unwrap_or_default();
    serde_json::from_slice(bytes).unwrap_or_else(|_malformed| json!({"malformed_bytes": bytes.len()}))
}

fn customer(body: &Value) -> Option<UserId> {
    let id = body.get("customer_id").or_else(|| body.get("user_id"))?;
    id.as_str()?.parse().ok()
}

/// What died, where and of what. The body stays with the service that owns the dead letter.
fn circumstances(message: &Message) -> Value {
    let header = |name: &str| message.record.headers.text(name);
    let number = |name: &str| header(name).and_then(|text| text.parse::<i64>().ok());
    json!({
        "dead_letter_id": header("x-dead-letter-id"),
        "kind": header("x-dead-letter-kind"),
        "name": header("x-dead-letter-name"),
        "error_class": header("x-error-class"),
        "error_message": header("x-error-message"),
        "error_fingerprint": header("x-error-fingerprint"),
        "retries": number("x-retry-count"),
        "first_failed_at": header("x-first-failed-at"),
        "original_topic": header("x-original-topic"),
        "original_partition": number("x-original-partition"),
        "original_offset": number("x-original-offset"),
    })
}
