//! The transactional outbox: facts are rows in the transaction of the change they announce, and become
//! Kafka records later.

use contracts::reaction::Outgoing;
use contracts::{Context, Envelope, EventId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tracing::Span;
use uuid::Uuid;

use crate::headers::Headers;
use crate::schema::outbox;
use crate::trace::TraceContext;
use crate::{Conn, NewAction};
use chassis::clock;

/// Rows in one INSERT at most: five values each, of the 65,535 parameters that PostgreSQL allows.
const INSERT_CHUNK: usize = 5_000;

/// One record to be.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = outbox)]
pub struct OutboxRow {
    event_id: Uuid,
    topic: String,
    key: Option<Vec<u8>>,
    headers: serde_json::Value,
    payload: Option<Vec<u8>>,
}

impl OutboxRow {
    /// The row that announces `outgoing` as `source`, caused by `context`, within the trace of `trace`.
    ///
    /// # Errors
    /// When the body cannot be written as JSON.
    pub fn announcing(
        source: &str,
        context: &Context,
        trace: &TraceContext,
        outgoing: &Outgoing,
    ) -> Result<Self, serde_json::Error> {
        let id = clock::new_id();
        let event = &outgoing.event;
        let envelope = Envelope {
            id: EventId::new(id),
            name: event.topic().name().to_owned(),
            major: event.major(),
            source: source.to_owned(),
            time: context.now,
            key: event.key(),
            sequence: outgoing.sequence,
            correlation_id: context.correlation_id,
            causation_id: context.cause_id,
            traceparent: trace.traceparent.clone(),
            tracestate: trace.tracestate.clone(),
        };
        Ok(Self {
            event_id: id,
            topic: event.topic().name().to_owned(),
            key: Some(event.key().to_string().into_bytes()),
            headers: envelope.to_headers().into_iter().collect::<Headers>().to_json(),
            payload: Some(serde_json::to_vec(event)?),
        })
    }

    pub(crate) fn raw(
        event_id: Uuid,
        topic: String,
        key: Option<Vec<u8>>,
        headers: &Headers,
        payload: Option<Vec<u8>>,
    ) -> Self {
        Self {
            event_id,
            topic,
            key,
            headers: headers.to_json(),
            payload,
        }
    }
}

/// Appends rows in their order. The caller must hold the lock of each aggregate that the rows announce
/// (by having written its row in this transaction): only then do a key's rows stand in commit order, and only
/// then does the transaction have its number before it draws outbox ids, which the relay's low-water mark
/// relies on.
///
/// # Errors
/// The database's.
pub async fn append(conn: &mut Conn, rows: &[OutboxRow]) -> QueryResult<()> {
    if let [row] = rows {
        // unlike one of many rows, this statement is prepared once
        return diesel::insert_into(outbox::table)
            .values(row)
            .execute(conn)
            .await
            .map(drop);
    }
    for chunk in rows.chunks(INSERT_CHUNK) {
        diesel::insert_into(outbox::table)
            .values(chunk)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// Announces facts of a change that is made without the kernel's load and save, in the caller's transaction
/// and after the caller's own write.
///
/// # Errors
/// The database's; a body that cannot be written as JSON is a serialization error.
pub async fn announce(
    conn: &mut Conn,
    source: &str,
    context: &Context,
    facts: &[Outgoing],
) -> QueryResult<()> {
    let trace = TraceContext::of(&Span::current());
    let rows = facts
        .iter()
        .map(|fact| OutboxRow::announcing(source, context, &trace, fact))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    append(conn, &rows).await
}

/// What a step leaves to be written besides the state itself.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) outbox: Vec<OutboxRow>,
    pub(crate) actions: Vec<NewAction>,
}
