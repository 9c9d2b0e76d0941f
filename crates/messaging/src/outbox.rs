//! The transactional outbox: facts are rows in the transaction of the change they announce, and become
//! Kafka records later.

use contracts::reaction::Outgoing;
use contracts::{Context, Envelope, EventId};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, Bytea, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use tracing::Span;
use uuid::Uuid;

use crate::headers::Headers;
use crate::saga_log::SagaStep;
use crate::trace::TraceContext;
use crate::{Conn, NewAction};
use chassis::clock;

/// One record to be.
#[derive(Debug, Clone)]
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

/// Appends rows in their order. The caller must hold the lock of each aggregate that the rows announce (by having
/// written its row in this transaction): only then do a key's rows stand in commit order.
///
/// # Errors
/// The database's.
pub async fn append(conn: &mut Conn, rows: &[OutboxRow]) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    Append::of(rows).execute(conn).await.map(drop)
}

/// The statement that appends rows. One array a column, so that it is one statement for any number of rows, prepared
/// once; a scan of `unnest` keeps the order of its arrays, and ids are drawn in that order. The transaction gets its
/// number before it draws the first id: the relay's low-water mark relies on it.
struct Append<'a> {
    event_ids: Vec<Uuid>,
    topics: Vec<&'a str>,
    keys: Vec<Option<&'a [u8]>>,
    headers: Vec<&'a serde_json::Value>,
    payloads: Vec<Option<&'a [u8]>>,
}

impl<'a> Append<'a> {
    fn of(rows: &'a [OutboxRow]) -> Self {
        Self {
            event_ids: rows.iter().map(|row| row.event_id).collect(),
            topics: rows.iter().map(|row| row.topic.as_str()).collect(),
            keys: rows.iter().map(|row| row.key.as_deref()).collect(),
            headers: rows.iter().map(|row| &row.headers).collect(),
            payloads: rows.iter().map(|row| row.payload.as_deref()).collect(),
        }
    }
}

impl QueryId for Append<'_> {
    type QueryId = Append<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for Append<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("insert into outbox (event_id, topic, key, headers, payload) select * from unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.event_ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.topics)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Bytea>>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Jsonb>, _>(&self.headers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Bytea>>, _>(&self.payloads)?;
        out.push_sql(") where pg_current_xact_id() is not null");
        Ok(())
    }
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
    /// To be told after the commit.
    pub(crate) steps: Vec<SagaStep>,
}
