//! Orders whose deadline has passed.

use chrono::{DateTime, Utc};
use contracts::OrderId;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use messaging::Conn;
use uuid::Uuid;

// 'pending' is no parameter: a prepared statement must not lose sight of the index of what is pending

/// When the oldest and the youngest were placed.
const SPAN: &str = "select min(created_at) as oldest, max(created_at) as youngest
    from orders where status = 'pending' and created_at <= $1";
/// A parked message about an order may be its payment.
const DUE: &str = "select id from orders
    where status = 'pending' and created_at <= $1
      and not exists (select from work where kind = 'message' and state = 'pending'
                                         and key = convert_to(orders.id::text, 'UTF8'))
    order by created_at, id limit $2";
const REMAINING: &str = "select count(*) as orders, min(created_at) as oldest,
        count(*) filter (where created_at <= $2) as need_operator
    from orders where status = 'pending' and created_at <= $1";
const OLDEST: &str = "select id from orders where status = 'pending' and created_at <= $1
    order by created_at, id limit $2";

/// The span of time in which orders were placed that still wait for their payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When the oldest was placed.
    pub oldest: DateTime<Utc>,
    /// When the youngest was placed.
    pub youngest: DateTime<Utc>,
}

/// Overdue orders that were not cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// How many.
    pub orders: i64,
    /// When the oldest was placed.
    pub oldest: DateTime<Utc>,
    /// Those that wait for an operator.
    pub need_operator: i64,
    /// The oldest of them.
    pub operator_decides: Vec<Uuid>,
}

#[derive(QueryableByName)]
struct SpanRow {
    #[diesel(sql_type = diesel::sql_types::Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
    #[diesel(sql_type = diesel::sql_types::Nullable<Timestamptz>)]
    youngest: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct RemainingRow {
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = diesel::sql_types::Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    need_operator: i64,
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Whether orders placed at `placed_by` or before still wait for their payment, and since when.
///
/// # Errors
/// The database's.
pub async fn span(conn: &mut Conn, placed_by: DateTime<Utc>) -> QueryResult<Option<Span>> {
    let row: SpanRow = diesel::sql_query(SPAN)
        .bind::<Timestamptz, _>(placed_by)
        .get_result(conn)
        .await?;
    let span = row.oldest.zip(row.youngest);
    Ok(span.map(|(oldest, youngest)| Span { oldest, youngest }))
}

/// The oldest orders placed at `placed_by` or before that still wait for their payment and have no parked message,
/// `limit` at most.
///
/// # Errors
/// The database's.
pub async fn due(conn: &mut Conn, placed_by: DateTime<Utc>, limit: i64) -> QueryResult<Vec<OrderId>> {
    let rows = diesel::sql_query(DUE)
        .bind::<Timestamptz, _>(placed_by)
        .bind::<BigInt, _>(limit)
        .load::<IdRow>(conn)
        .await?;
    Ok(rows.into_iter().map(|row| OrderId::new(row.id)).collect())
}

/// What is left of the orders placed at `placed_by` or before; those placed at `operator_by` or before need an operator,
/// of whom `limit` are named at most.
///
/// # Errors
/// The database's.
pub async fn remaining(
    conn: &mut Conn,
    placed_by: DateTime<Utc>,
    operator_by: DateTime<Utc>,
    limit: i64,
) -> QueryResult<Option<Remaining>> {
    let row: RemainingRow = diesel::sql_query(REMAINING)
        .bind::<Timestamptz, _>(placed_by)
        .bind::<Timestamptz, _>(operator_by)
        .get_result(conn)
        .await?;
    let Some(oldest) = row.oldest else {
        return Ok(None);
    };
    let operator_decides = match row.need_operator {
        0 => Vec::new(),
        _ => {
            diesel::sql_query(OLDEST)
                .bind::<Timestamptz, _>(operator_by)
                .bind::<BigInt, _>(limit)
                .load::<IdRow>(conn)
                .await?
        }
    };
    Ok(Some(Remaining {
        orders: row.orders,
        oldest,
        need_operator: row.need_operator,
        operator_decides: operator_decides.into_iter().map(|row| row.id).collect(),
    }))
}
