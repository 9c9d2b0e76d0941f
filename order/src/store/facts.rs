//! What was announced of orders. The rows are written by the database itself, in the transaction of the announcement.

use chrono::{DateTime, Utc};
use contracts::OrderId;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use messaging::Conn;
use uuid::Uuid;

/// A fact of an order, as it was announced.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct StoredFact {
    /// The order.
    #[diesel(sql_type = SqlUuid)]
    pub order_id: Uuid,
    /// Its number among the order's facts, from 1.
    #[diesel(sql_type = BigInt)]
    pub sequence: i64,
    /// The topic.
    #[diesel(sql_type = Text)]
    pub topic: String,
    /// The body.
    #[diesel(sql_type = Jsonb)]
    pub data: serde_json::Value,
}

/// The facts of an order after the one numbered `after`, in order.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut Conn, order_id: OrderId, after: i64) -> QueryResult<Vec<StoredFact>> {
    of_all(conn, &[(order_id.uuid(), after)]).await
}

/// The same of many orders at once; the facts of one order stand together and in order.
///
/// # Errors
/// The database's.
pub async fn of_all(conn: &mut Conn, followed: &[(Uuid, i64)]) -> QueryResult<Vec<StoredFact>> {
    let (ids, after): (Vec<Uuid>, Vec<i64>) = followed.iter().copied().unzip();
    // the facts of an order are committed in the order of their numbers: its row is locked meanwhile
    diesel::sql_query(
        "select fact.order_id, fact.sequence, fact.topic, fact.data
         from unnest($1, $2) as followed (order_id, after)
         join order_fact fact on fact.order_id = followed.order_id and fact.sequence > followed.after
         order by fact.order_id, fact.sequence",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<BigInt>, _>(after)
    .load(conn)
    .await
}

/// A fact with the event that told it.
#[derive(Debug, QueryableByName)]
pub struct StoredEvent {
    /// The event.
    #[diesel(sql_type = SqlUuid)]
    pub event_id: Uuid,
    /// Its number among the order's facts, from 1.
    #[diesel(sql_type = BigInt)]
    pub sequence: i64,
    /// The topic.
    #[diesel(sql_type = Text)]
    pub topic: String,
    /// The body.
    #[diesel(sql_type = Jsonb)]
    pub data: serde_json::Value,
    /// When it was announced.
    #[diesel(sql_type = Timestamptz)]
    pub at: DateTime<Utc>,
    /// The event or request that led to it.
    #[diesel(sql_type = SqlUuid)]
    pub causation_id: Uuid,
    /// Constant over the saga.
    #[diesel(sql_type = SqlUuid)]
    pub correlation_id: Uuid,
}

/// The events of an order, in order; of those that were announced before their ids were kept, none.
///
/// # Errors
/// The database's.
pub async fn events_of(conn: &mut Conn, order_id: OrderId) -> QueryResult<Vec<StoredEvent>> {
    diesel::sql_query(
        "select event_id, sequence, topic, data, at, causation_id, correlation_id from order_fact
         where order_id = $1 and event_id is not null and causation_id is not null and correlation_id is not null
         order by sequence",
    )
    .bind::<SqlUuid, _>(order_id.uuid())
    .load(conn)
    .await
}
