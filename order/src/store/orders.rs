//! Orders' rows: bulk load and save for the kernel, reads for the endpoints.

use async_trait::async_trait;
use chassis::page;
use chrono::{DateTime, Utc};
use contracts::events::CancellationReason;
use contracts::{Money, NoAction, OrderId, PaymentId, UserId};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use messaging::{Change, Conn, Repository, Versioned};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::products::currency;
use super::schema::orders;
use crate::domain::{Line, Order, Status};

const PENDING: &str = "pending";
const CONFIRMED: &str = "confirmed";
const CANCELLED: &str = "cancelled";

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = orders)]
struct Row {
    id: Uuid,
    customer_id: Uuid,
    status: String,
    items: serde_json::Value,
    total_minor: i64,
    currency: String,
    payment_method: String,
    payment_id: Option<Uuid>,
    cancellation_reason: Option<String>,
    cancellation_code: Option<String>,
    refunded: bool,
    announced: i64,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A line inside the row; its currency is the order's.
#[derive(Serialize, Deserialize)]
struct LineRow {
    sku: String,
    name: String,
    quantity: i32,
    unit_price_minor: i64,
}

impl Row {
    fn of(change: &Change<Order>) -> QueryResult<Self> {
        let order = &change.state;
        let (payment_id, cancellation, refunded) = match &order.status {
            Status::Pending => (None, None, false),
            Status::Confirmed { payment_id } => (Some(payment_id.uuid()), None, false),
            Status::Cancelled {
                reason,
                code,
                refunded,
            } => (None, Some((reason.as_str().to_owned(), code.clone())), *refunded),
        };
        let (cancellation_reason, cancellation_code) = cancellation.unzip();
        let lines: Vec<LineRow> = order.lines.iter().map(LineRow::of).collect();
        Ok(Self {
            id: order.id.uuid(),
            customer_id: order.customer_id.uuid(),
            status: order.status.name().to_owned(),
            items: serde_json::to_value(lines).map_err(|error| Error::SerializationError(error.into()))?,
            total_minor: order.total.amount_minor(),
            currency: order.total.currency().code().to_owned(),
            payment_method: order.payment_method.clone(),
            payment_id,
            cancellation_reason,
            cancellation_code: cancellation_code.flatten(),
            refunded,
            announced: i64::try_from(order.announced)
                .map_err(|error| Error::SerializationError(error.into()))?,
            version: change.version,
            created_at: order.created_at,
            updated_at: order.updated_at,
        })
    }

    fn into_order(self) -> QueryResult<Versioned<Order>> {
        let status = self.status()?;
        let currency = currency(&self.currency)?;
        let lines: Vec<LineRow> = serde_json::from_value(self.items).map_err(unreadable)?;
        let line = |row: LineRow| Line {
            sku: row.sku,
            name: row.name,
            quantity: row.quantity,
            unit_price: Money::new(row.unit_price_minor, currency),
        };
        let state = Order {
            id: OrderId::new(self.id),
            customer_id: UserId::new(self.customer_id),
            lines: lines.into_iter().map(line).collect(),
            total: Money::new(self.total_minor, currency),
            payment_method: self.payment_method,
            status,
            announced: u64::try_from(self.announced).map_err(unreadable)?,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        Ok(Versioned {
            version: self.version,
            state,
        })
    }

    fn status(&self) -> QueryResult<Status> {
        match (
            self.status.as_str(),
            self.payment_id,
            self.cancellation_reason.as_deref(),
        ) {
            (PENDING, _, _) => Ok(Status::Pending),
            (CONFIRMED, Some(id), _) => Ok(Status::Confirmed {
                payment_id: PaymentId::new(id),
            }),
            (CANCELLED, _, Some(reason)) => Ok(Status::Cancelled {
                reason: cancellation_reason(reason)?,
                code: self.cancellation_code.clone(),
                refunded: self.refunded,
            }),
            (status, _, _) => Err(unreadable(format!(
                "order {} is {status:?} without its data",
                self.id
            ))),
        }
    }
}

impl LineRow {
    fn of(line: &Line) -> Self {
        Self {
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price_minor: line.unit_price.amount_minor(),
        }
    }
}

fn cancellation_reason(text: &str) -> QueryResult<CancellationReason> {
    [
        CancellationReason::PaymentFailed,
        CancellationReason::CustomerRequest,
        CancellationReason::PaymentTimeout,
    ]
    .into_iter()
    .find(|reason| reason.as_str() == text)
    .ok_or_else(|| unreadable(format!("{text:?} is no reason to cancel")))
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::DeserializationError(error.into())
}

/// Orders, as the kernel loads and saves them.
#[derive(Debug, Clone, Copy)]
pub struct OrderRepository;

#[async_trait]
impl Repository for OrderRepository {
    type State = Order;
    type Action = NoAction;

    async fn load(&self, conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Order>)>> {
        let rows: Vec<Row> = orders::table
            .filter(orders::id.eq_any(ids))
            .order(orders::id)
            .select(Row::as_select())
            .for_update()
            .load(conn)
            .await?;
        rows.into_iter()
            .map(|row| Ok((row.id, row.into_order()?)))
            .collect()
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<Order>]) -> QueryResult<usize> {
        use diesel::query_dsl::methods::FilterDsl;
        let rows = changes.iter().map(Row::of).collect::<QueryResult<Vec<_>>>()?;
        // what was ordered never changes after placing
        diesel::insert_into(orders::table)
            .values(&rows)
            .on_conflict(orders::id)
            .do_update()
            .set((
                orders::status.eq(excluded(orders::status)),
                orders::payment_id.eq(excluded(orders::payment_id)),
                orders::cancellation_reason.eq(excluded(orders::cancellation_reason)),
                orders::cancellation_code.eq(excluded(orders::cancellation_code)),
                orders::refunded.eq(excluded(orders::refunded)),
                orders::announced.eq(excluded(orders::announced)),
                orders::version.eq(excluded(orders::version)),
                orders::updated_at.eq(excluded(orders::updated_at)),
            ))
            .filter((orders::version + 1).eq(excluded(orders::version)))
            .execute(conn)
            .await
    }
}

/// Which orders a list shows.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only this customer's.
    pub customer_id: Option<UserId>,
    /// Only in this status: `pending`, `confirmed`, `cancelled`.
    pub status: Option<&'static str>,
    /// Only those cancelled for this reason.
    pub reason: Option<&'static str>,
    /// Only those paid, or to be paid, by this method.
    pub method: Option<String>,
    /// Only those placed at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those placed before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only those whose total in minor units is in this range, both ends included.
    pub amount: (Option<i64>, Option<i64>),
    /// Only those in this currency.
    pub currency: Option<String>,
    /// Only placed before this one.
    pub before: Option<Uuid>,
}

/// One order.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut Conn, id: OrderId) -> QueryResult<Option<Versioned<Order>>> {
    let row: Option<Row> = orders::table
        .find(id.uuid())
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    row.map(Row::into_order).transpose()
}

/// The newest orders first, `limit` at most.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut Conn, filter: &ListFilter, limit: i64) -> QueryResult<Vec<Versioned<Order>>> {
    let mut query = orders::table
        .order(orders::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(customer) = filter.customer_id {
        query = query.filter(orders::customer_id.eq(customer.uuid()));
    }
    if let Some(status) = filter.status {
        query = query.filter(orders::status.eq(status));
    }
    if let Some(reason) = filter.reason {
        query = query.filter(orders::cancellation_reason.eq(reason));
    }
    if let Some(method) = &filter.method {
        query = query.filter(orders::payment_method.eq(method));
    }
    if let Some(from) = filter.from {
        query = query.filter(
            orders::created_at
                .ge(from)
                .and(orders::id.ge(page::first_id_about(from))),
        );
    }
    if let Some(to) = filter.to {
        query = query.filter(
            orders::created_at
                .lt(to)
                .and(orders::id.lt(page::last_id_about(to))),
        );
    }
    if let Some(least) = filter.amount.0 {
        query = query.filter(orders::total_minor.ge(least));
    }
    if let Some(most) = filter.amount.1 {
        query = query.filter(orders::total_minor.le(most));
    }
    if let Some(currency) = &filter.currency {
        query = query.filter(orders::currency.eq(currency));
    }
    if let Some(before) = filter.before {
        query = query.filter(orders::id.lt(before));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(Row::into_order).collect()
}
