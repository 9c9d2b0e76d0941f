//! Dead letters on Kafka: the original message, with headers that tell where it came from and what it died of.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::topics::dead_letter_topic;
use contracts::{Envelope, EnvelopeError, EventId};
use uuid::Uuid;

use crate::Failure;
use crate::MessagingSettings;
use crate::headers::Headers;
use crate::outbox::OutboxRow;
use crate::record::{Origin, uuid_key};
use crate::retry::RETRY_COUNT;
use chassis::clock;

const RECORD_ID: &str = "x-dead-letter-record-id";
const DIED_AT: &str = "x-last-failed-at";
const SERVICE: &str = "x-consumer-group";

/// What died.
pub(crate) struct Death<'a> {
    /// The row that stays in `work`.
    pub(crate) work_id: Uuid,
    /// `message`, `action` or `publication`.
    pub(crate) kind: &'static str,
    /// The topic or action.
    pub(crate) name: &'a str,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) origin: Option<Origin>,
    pub(crate) retries: i32,
    pub(crate) first_failed_at: DateTime<Utc>,
}

/// The outbox row that tells the world. None for what was itself a dead letter of this service: it is only kept,
/// or a listener that fails on dead letters would feed itself for ever.
pub(crate) fn announce(
    service: &str,
    death: Death<'_>,
    failure: &Failure,
    settings: &MessagingSettings,
    now: DateTime<Utc>,
) -> Option<OutboxRow> {
    let destination = dead_letter_topic(service);
    if death.name == destination {
        return None;
    }
    let record_id = clock::new_id();
    let mut headers = death.headers;
    if let Some(origin) = &death.origin {
        headers.set("x-original-topic", &origin.topic);
        headers.set("x-original-partition", origin.partition.to_string());
        headers.set("x-original-offset", origin.offset.to_string());
        if let Some(timestamp) = origin.timestamp {
            headers.set("x-original-timestamp", time(timestamp));
        }
    }
    headers.set(RECORD_ID, record_id.to_string());
    headers.set("x-dead-letter-id", death.work_id.to_string());
    headers.set("x-dead-letter-kind", death.kind);
    headers.set("x-dead-letter-name", death.name);
    headers.set(SERVICE, service);
    headers.set(RETRY_COUNT, death.retries.to_string());
    headers.set("x-error-class", &failure.class);
    headers.set("x-error-message", failure.capped(settings.error_max_chars));
    headers.set("x-error-fingerprint", failure.fingerprint(death.name));
    headers.set("x-first-failed-at", time(death.first_failed_at));
    headers.set(DIED_AT, time(now));
    Some(OutboxRow::raw(
        record_id,
        destination,
        death.key,
        &headers,
        death.payload,
    ))
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The identity of a dead letter as an event of its own: caused by the event that died, about the same key.
pub(crate) fn envelope(
    topic: &str,
    key: Option<&[u8]>,
    headers: &Headers,
) -> Result<Envelope, EnvelopeError> {
    let id: Uuid = parsed(headers, RECORD_ID)?;
    let key = uuid_key(key).unwrap_or(id);
    let original = |name| headers.text(name).and_then(|text| text.parse().ok());
    Ok(Envelope {
        id: EventId::new(id),
        name: topic.to_owned(),
        major: 1,
        source: required(headers, SERVICE)?.to_owned(),
        time: parsed(headers, DIED_AT)?,
        key,
        sequence: 0,
        correlation_id: original("ce_correlationid").unwrap_or(key),
        causation_id: cause(headers).unwrap_or(key),
        traceparent: headers.text("traceparent").map(ToOwned::to_owned),
        tracestate: headers.text("tracestate").map(ToOwned::to_owned),
    })
}

/// A dead message was itself the event; a dead action was caused by one.
fn cause(headers: &Headers) -> Option<Uuid> {
    let name = match headers.text("x-dead-letter-kind") {
        Some("action") => "ce_causationid",
        _ => "ce_id",
    };
    headers.text(name)?.parse().ok()
}

fn required<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, EnvelopeError> {
    headers.text(name).ok_or(EnvelopeError::Missing(name))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    headers: &Headers,
    name: &'static str,
) -> Result<T, EnvelopeError> {
    required(headers, name)?
        .parse()
        .map_err(|error: T::Err| EnvelopeError::Malformed {
            name,
            reason: error.to_string(),
        })
}

impl Death<'_> {
    /// The death of a message at its first attempt, where no retries are configured.
    pub(crate) fn at_arrival(row: &crate::new_work::NewWork, now: DateTime<Utc>) -> Death<'_> {
        Death {
            work_id: row.id,
            kind: row.kind,
            name: &row.name,
            key: row.key.clone(),
            headers: serde_json::from_value(row.headers.clone()).unwrap_or_default(),
            payload: row.payload.clone(),
            origin: row.origin(),
            retries: 0,
            first_failed_at: now,
        }
    }

    /// The death of claimed work whose last retry failed.
    pub(crate) fn of_row<'a>(
        row: &'a crate::work::WorkRow,
        kind: &'static str,
        now: DateTime<Utc>,
    ) -> Death<'a> {
        Death {
            work_id: row.id,
            kind,
            name: &row.name,
            key: row.key.clone(),
            headers: row.headers(),
            payload: row.payload.clone(),
            origin: row.origin(),
            retries: row.attempts,
            first_failed_at: row.first_failed_at.unwrap_or(now),
        }
    }
}
