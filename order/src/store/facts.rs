//! What was announced of orders. The rows are written by the database itself, in the transaction of the announcement.

use contracts::OrderId;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Text, Uuid as SqlUuid};
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
