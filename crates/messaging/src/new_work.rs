//! Rows to be of the work table: parked messages, refused publications, actions.

use chrono::{DateTime, Utc};
use contracts::{Context, Envelope, EventId};
use diesel::prelude::*;
use uuid::Uuid;

use crate::headers::Headers;
use crate::record::{Origin, Record};
use crate::retry::{Fate, RETRY_COUNT, fate};
use crate::schema::work;
use crate::trace::TraceContext;
use crate::work::{ACTION, DEAD, MESSAGE, PENDING, PUBLICATION};
use crate::{Action, Failure, MessagingSettings};
use chassis::clock;

/// A row to be.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = work)]
pub(crate) struct NewWork {
    pub(crate) id: Uuid,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) event_id: Option<Uuid>,
    pub(crate) headers: serde_json::Value,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) state: &'static str,
    pub(crate) attempts: i32,
    pub(crate) next_attempt_at: DateTime<Utc>,
    pub(crate) origin_topic: Option<String>,
    pub(crate) origin_partition: Option<i32>,
    pub(crate) origin_offset: Option<i64>,
    pub(crate) origin_timestamp: Option<DateTime<Utc>>,
    pub(crate) error_class: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) error_fingerprint: Option<String>,
    pub(crate) first_failed_at: Option<DateTime<Utc>>,
    pub(crate) last_failed_at: Option<DateTime<Utc>>,
}

impl NewWork {
    fn blank(kind: &'static str, name: String, headers: &Headers, now: DateTime<Utc>) -> Self {
        Self {
            id: clock::new_id(),
            kind,
            name,
            key: None,
            event_id: None,
            headers: headers.to_json(),
            payload: None,
            state: PENDING,
            attempts: 0,
            next_attempt_at: now,
            origin_topic: None,
            origin_partition: None,
            origin_offset: None,
            origin_timestamp: None,
            error_class: None,
            error_message: None,
            error_fingerprint: None,
            first_failed_at: None,
            last_failed_at: None,
        }
    }

    fn of_origin(mut self, origin: Option<&Origin>) -> Self {
        self.origin_topic = origin.map(|origin| origin.topic.clone());
        self.origin_partition = origin.map(|origin| origin.partition);
        self.origin_offset = origin.map(|origin| origin.offset);
        self.origin_timestamp = origin.and_then(|origin| origin.timestamp);
        self
    }

    /// A message that waits behind another of its key; no attempt was made.
    pub(crate) fn behind(record: &Record, event_id: Option<Uuid>, now: DateTime<Utc>) -> Self {
        Self {
            key: record.key.clone(),
            event_id,
            payload: record.payload.clone(),
            ..Self::blank(MESSAGE, record.origin.topic.clone(), &record.headers, now)
        }
        .of_origin(Some(&record.origin))
    }

    /// A message whose first attempt failed.
    pub(crate) fn parked(
        record: &Record,
        event_id: Option<Uuid>,
        failure: &Failure,
        settings: &MessagingSettings,
        now: DateTime<Utc>,
    ) -> Self {
        Self::behind(record, event_id, now).failed(failure, settings, now)
    }

    /// A record that Kafka refused for good, out of the outbox.
    pub(crate) fn refused(
        topic: &str,
        key: Option<Vec<u8>>,
        event_id: Uuid,
        headers: &Headers,
        payload: Option<Vec<u8>>,
        failure: &Failure,
        settings: &MessagingSettings,
    ) -> Self {
        let now = clock::now();
        let row = Self {
            key,
            event_id: Some(event_id),
            payload,
            ..Self::blank(PUBLICATION, topic.to_owned(), headers, now)
        };
        Self {
            state: DEAD,
            attempts: 1,
            ..row.noting(failure, settings, now)
        }
    }

    fn failed(mut self, failure: &Failure, settings: &MessagingSettings, now: DateTime<Utc>) -> Self {
        self.attempts = 1;
        match fate(settings, self.attempts, false, now) {
            Fate::Retry { at } => self.next_attempt_at = at,
            Fate::Dead => self.state = DEAD,
        }
        let mut headers: Headers = serde_json::from_value(self.headers.take()).unwrap_or_default();
        headers.set(RETRY_COUNT, if self.is_dead() { "0" } else { "1" });
        self.headers = headers.to_json();
        self.noting(failure, settings, now)
    }

    fn noting(mut self, failure: &Failure, settings: &MessagingSettings, now: DateTime<Utc>) -> Self {
        self.error_class = Some(failure.class.clone());
        self.error_message = Some(failure.capped(settings.error_max_chars));
        self.error_fingerprint = Some(failure.fingerprint(&self.name));
        self.first_failed_at = Some(now);
        self.last_failed_at = Some(now);
        self
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state == DEAD
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        Some(Origin {
            topic: self.origin_topic.clone()?,
            partition: self.origin_partition?,
            offset: self.origin_offset?,
            timestamp: self.origin_timestamp,
        })
    }
}

/// An action that a step asked for.
#[derive(Debug, Clone)]
pub struct NewAction(pub(crate) NewWork);

impl NewAction {
    /// The row of `action` on the aggregate `id`, caused by `context`. Its headers are an envelope like an
    /// event's, so that it can be traced and, should it die, read like one.
    ///
    /// # Errors
    /// When the action cannot be written as JSON.
    pub fn new(
        source: &str,
        id: Uuid,
        action: &impl Action,
        context: &Context,
        trace: &TraceContext,
        origin: Option<&Origin>,
    ) -> Result<Self, serde_json::Error> {
        let work_id = clock::new_id();
        let envelope = Envelope {
            id: EventId::new(work_id),
            name: format!("{source}.action.{}", action.name()),
            major: 1,
            source: source.to_owned(),
            time: context.now,
            key: id,
            sequence: 0,
            correlation_id: context.correlation_id,
            causation_id: context.cause_id,
            traceparent: trace.traceparent.clone(),
            tracestate: trace.tracestate.clone(),
        };
        let headers: Headers = envelope.to_headers().into_iter().collect();
        let row = NewWork {
            id: work_id,
            key: Some(id.to_string().into_bytes()),
            event_id: Some(context.cause_id),
            payload: Some(serde_json::to_vec(action)?),
            ..NewWork::blank(ACTION, action.name().to_owned(), &headers, context.now)
        };
        Ok(Self(row.of_origin(origin)))
    }
}
