//! Entries of the timeline, written in bulk and read by order.

use async_trait::async_trait;
use chassis::page;
use chrono::{DateTime, Utc};
use contracts::{Envelope, EventId, NoAction, OrderId, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use messaging::{Change, Conn, Repository, Versioned};
use uuid::Uuid;

use super::schema::timeline_entry;
use crate::domain::entry::Entry;

/// Events that are told of one order at most. A saga has fewer than ten; the rest could only be dead letters.
const TOLD_MAX: i64 = 1_000;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = timeline_entry)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct Row {
    event_id: Uuid,
    order_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    kind: String,
    source: String,
    occurred_at: DateTime<Utc>,
    causation_id: Uuid,
    correlation_id: Uuid,
    sequence: i64,
    data: serde_json::Value,
}

/// The entries, as the kernel's participant keeps them: each event is an aggregate of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimelineRepository;

#[async_trait]
impl Repository for TimelineRepository {
    type State = Entry;
    type Action = NoAction;

    fn aggregate_of(&self, event: &Envelope) -> Uuid {
        event.id.uuid()
    }

    /// An entry never changes, and the kernel hands each event over once: there is nothing to load.
    async fn load(&self, _conn: &mut Conn, _ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Entry>)>> {
        Ok(Vec::new())
    }

    /// Writing an entry that is there already is as good as writing it.
    async fn save(&self, conn: &mut Conn, changes: &[Change<Entry>]) -> QueryResult<usize> {
        let rows: Vec<Row> = changes.iter().map(|change| Row::from(&change.state)).collect();
        diesel::insert_into(timeline_entry::table)
            .values(&rows)
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        Ok(changes.len())
    }
}

/// Every event of an order, in no order.
///
/// # Errors
/// The database's.
pub async fn of_order(conn: &mut Conn, order: OrderId) -> QueryResult<Vec<Entry>> {
    let rows: Vec<Row> = timeline_entry::table
        .filter(timeline_entry::order_id.eq(order.uuid()))
        .order((timeline_entry::occurred_at, timeline_entry::event_id))
        .limit(TOLD_MAX)
        .select(Row::as_select())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// The event with this id, and those of the order with this id; the newest first, `limit` at most.
///
/// # Errors
/// The database's.
pub async fn about(conn: &mut Conn, id: Uuid, limit: i64) -> QueryResult<Vec<Entry>> {
    let rows: Vec<Row> = timeline_entry::table
        .filter(
            timeline_entry::event_id
                .eq(id)
                .or(timeline_entry::order_id.eq(id)),
        )
        .order((
            timeline_entry::occurred_at.desc(),
            timeline_entry::event_id.desc(),
        ))
        .limit(limit)
        .select(Row::as_select())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Events of orders that were placed after `time`, the newest orders first, `limit` at most.
///
/// # Errors
/// The database's.
pub async fn of_orders_after(conn: &mut Conn, time: DateTime<Utc>, limit: usize) -> QueryResult<Vec<Entry>> {
    let rows: Vec<Row> = timeline_entry::table
        .filter(timeline_entry::order_id.ge(page::id_at(time)))
        .order((timeline_entry::order_id.desc(), timeline_entry::sequence))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(Row::as_select())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        Self {
            event_id: entry.event_id.uuid(),
            order_id: entry.order_id.map(OrderId::uuid),
            customer_id: entry.customer_id.map(UserId::uuid),
            kind: entry.kind.clone(),
            source: entry.source.clone(),
            occurred_at: entry.occurred_at,
            causation_id: entry.causation_id,
            correlation_id: entry.correlation_id,
            sequence: entry.sequence,
            data: entry.data.clone(),
        }
    }
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            event_id: EventId::new(row.event_id),
            order_id: row.order_id.map(OrderId::new),
            customer_id: row.customer_id.map(UserId::new),
            kind: row.kind,
            source: row.source,
            occurred_at: row.occurred_at,
            causation_id: row.causation_id,
            correlation_id: row.correlation_id,
            sequence: row.sequence,
            data: row.data,
        }
    }
}
