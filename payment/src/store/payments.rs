//! Payments' rows: bulk load and save for the kernel, reads for the endpoints.

use std::collections::HashMap;

use async_trait::async_trait;
use chassis::page;
use chrono::{DateTime, Utc};
use contracts::{Currency, Money, OrderId, PaymentId, UserId};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use messaging::attempts::{self, ActionAttempts};
use messaging::{Change, Conn, Repository, Versioned};
use uuid::Uuid;

use super::schema::payment;
use crate::domain::{Payment, PaymentAction, Status};

const PROCESSING: &str = "processing";
const COMPLETED: &str = "completed";
const FAILED: &str = "failed";
const VOIDED: &str = "voided";
const REFUNDING: &str = "refunding";
const REFUNDED: &str = "refunded";

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = payment)]
struct Row {
    order_id: Uuid,
    id: Uuid,
    customer_id: Uuid,
    amount_minor: i64,
    currency: String,
    payment_method: String,
    status: String,
    cancel_wanted: bool,
    provider: String,
    provider_reference: Option<String>,
    refund_reference: Option<String>,
    failure_code: Option<String>,
    attempts: i32,
    announced: i64,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    corrections: Vec<Uuid>,
}

/// What a status is in columns.
#[derive(Default)]
struct Columns {
    status: &'static str,
    cancel_wanted: bool,
    provider_reference: Option<String>,
    refund_reference: Option<String>,
    failure_code: Option<String>,
}

impl Columns {
    fn of(status: &Status) -> Self {
        let named = |status| Self {
            status,
            ..Self::default()
        };
        match status.clone() {
            Status::Processing { cancel_wanted } => Self {
                cancel_wanted,
                ..named(PROCESSING)
            },
            Status::Completed { reference } => Self {
                provider_reference: Some(reference),
                ..named(COMPLETED)
            },
            Status::Failed { code } => Self {
                failure_code: Some(code),
                ..named(FAILED)
            },
            Status::Voided => named(VOIDED),
            Status::Refunding { reference } => Self {
                provider_reference: Some(reference),
                ..named(REFUNDING)
            },
            Status::Refunded {
                reference,
                refund_reference,
            } => Self {
                provider_reference: Some(reference),
                refund_reference: Some(refund_reference),
                ..named(REFUNDED)
            },
        }
    }
}

impl Row {
    fn of(change: &Change<Payment>) -> QueryResult<Self> {
        let state = &change.state;
        let columns = Columns::of(&state.status);
        Ok(Self {
            order_id: state.order_id.uuid(),
            id: state.id.uuid(),
            customer_id: state.customer_id.uuid(),
            amount_minor: state.amount.amount_minor(),
            currency: state.amount.currency().code().to_owned(),
            payment_method: state.payment_method.clone(),
            status: columns.status.to_owned(),
            cancel_wanted: columns.cancel_wanted,
            provider: state.provider.clone(),
            provider_reference: columns.provider_reference,
            refund_reference: columns.refund_reference,
            failure_code: columns.failure_code,
            attempts: i32::try_from(state.attempts).map_err(unwritable)?,
            announced: i64::try_from(state.announced).map_err(unwritable)?,
            version: change.version,
            created_at: state.created_at,
            updated_at: state.updated_at,
            corrections: state.corrections.clone(),
        })
    }

    fn into_payment(self) -> QueryResult<Versioned<Payment>> {
        let status = self.status()?;
        let currency = Currency::from_code(&self.currency)
            .ok_or_else(|| unreadable(format!("{:?} is not a currency", self.currency)))?;
        let state = Payment {
            id: PaymentId::new(self.id),
            order_id: OrderId::new(self.order_id),
            customer_id: UserId::new(self.customer_id),
            amount: Money::new(self.amount_minor, currency),
            payment_method: self.payment_method,
            corrections: self.corrections,
            provider: self.provider,
            status,
            attempts: u32::try_from(self.attempts).map_err(unreadable)?,
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
        let reference = self.provider_reference.clone();
        match (
            self.status.as_str(),
            reference,
            self.refund_reference.clone(),
            self.failure_code.clone(),
        ) {
            (PROCESSING, _, _, _) => Ok(Status::Processing {
                cancel_wanted: self.cancel_wanted,
            }),
            (COMPLETED, Some(reference), _, _) => Ok(Status::Completed { reference }),
            (FAILED, _, _, Some(code)) => Ok(Status::Failed { code }),
            (VOIDED, _, _, _) => Ok(Status::Voided),
            (REFUNDING, Some(reference), _, _) => Ok(Status::Refunding { reference }),
            (REFUNDED, Some(reference), Some(refund_reference), _) => Ok(Status::Refunded {
                reference,
                refund_reference,
            }),
            (status, _, _, _) => Err(unreadable(format!(
                "payment {} is {status:?} without its data",
                self.id
            ))),
        }
    }
}

pub(super) fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::DeserializationError(error.into())
}

fn unwritable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::SerializationError(error.into())
}

/// Payments, as the kernel loads and saves them.
#[derive(Debug, Clone, Copy)]
pub struct PaymentRepository;

#[async_trait]
impl Repository for PaymentRepository {
    type State = Payment;
    type Action = PaymentAction;

    async fn load(&self, conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Payment>)>> {
        let rows: Vec<Row> = payment::table
            .filter(payment::order_id.eq_any(ids))
            .order(payment::order_id)
            .select(Row::as_select())
            .for_update()
            .load(conn)
            .await?;
        rows.into_iter()
            .map(|row| Ok((row.order_id, row.into_payment()?)))
            .collect()
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<Payment>]) -> QueryResult<usize> {
        use diesel::query_dsl::methods::FilterDsl;
        let rows = changes.iter().map(Row::of).collect::<QueryResult<Vec<_>>>()?;
        // who pays how much for what never changes, and how only when an operator corrects it
        diesel::insert_into(payment::table)
            .values(&rows)
            .on_conflict(payment::order_id)
            .do_update()
            .set((
                payment::payment_method.eq(excluded(payment::payment_method)),
                payment::corrections.eq(excluded(payment::corrections)),
                payment::status.eq(excluded(payment::status)),
                payment::cancel_wanted.eq(excluded(payment::cancel_wanted)),
                payment::provider_reference.eq(excluded(payment::provider_reference)),
                payment::refund_reference.eq(excluded(payment::refund_reference)),
                payment::failure_code.eq(excluded(payment::failure_code)),
                payment::attempts.eq(excluded(payment::attempts)),
                payment::announced.eq(excluded(payment::announced)),
                payment::version.eq(excluded(payment::version)),
                payment::updated_at.eq(excluded(payment::updated_at)),
            ))
            .filter((payment::version + 1).eq(excluded(payment::version)))
            .execute(conn)
            .await
    }
}

/// Which payments a list shows.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only this customer's.
    pub customer_id: Option<UserId>,
    /// Only this order's.
    pub order_id: Option<OrderId>,
    /// Only in this status.
    pub status: Option<&'static str>,
    /// Only those that failed with this code.
    pub reason: Option<String>,
    /// Only those by this method.
    pub method: Option<String>,
    /// Only those that began at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those that began before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only those whose amount in minor units is in this range, both ends included.
    pub amount: (Option<i64>, Option<i64>),
    /// Only those in this currency.
    pub currency: Option<String>,
    /// Only those that began before this one.
    pub before: Option<Uuid>,
}

/// One payment, by its own id.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut Conn, id: PaymentId) -> QueryResult<Option<Versioned<Payment>>> {
    let row: Option<Row> = payment::table
        .filter(payment::id.eq(id.uuid()))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    row.map(Row::into_payment).transpose()
}

/// The name of the provider that the order's payment goes through, and the dead letters of its charge that operators have
/// corrected, the oldest first.
///
/// # Errors
/// The database's.
pub async fn provider_of(conn: &mut Conn, order_id: OrderId) -> QueryResult<Option<(String, Vec<Uuid>)>> {
    payment::table
        .find(order_id.uuid())
        .select((payment::provider, payment::corrections))
        .first(conn)
        .await
        .optional()
}

/// How the charges of those payments go that the provider has not answered, by order.
///
/// # Errors
/// The database's.
pub async fn charges_of(
    conn: &mut Conn,
    payments: &[Versioned<Payment>],
) -> QueryResult<HashMap<Uuid, ActionAttempts>> {
    let waiting = payments
        .iter()
        .filter(|payment| matches!(payment.state.status, Status::Processing { .. }))
        .map(|payment| payment.state.order_id.uuid());
    attempts::of(conn, "charge", &waiting.collect::<Vec<_>>()).await
}

/// The newest payments first, `limit` at most.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut Conn, filter: &ListFilter, limit: i64) -> QueryResult<Vec<Versioned<Payment>>> {
    let mut query = payment::table
        .order(payment::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(customer) = filter.customer_id {
        query = query.filter(payment::customer_id.eq(customer.uuid()));
    }
    if let Some(order) = filter.order_id {
        query = query.filter(payment::order_id.eq(order.uuid()));
    }
    if let Some(status) = filter.status {
        query = query.filter(payment::status.eq(status));
    }
    if let Some(reason) = &filter.reason {
        query = query.filter(payment::failure_code.eq(reason));
    }
    if let Some(method) = &filter.method {
        query = query.filter(payment::payment_method.eq(method));
    }
    if let Some(from) = filter.from {
        query = query.filter(
            payment::created_at
                .ge(from)
                .and(payment::id.ge(page::first_id_about(from))),
        );
    }
    if let Some(to) = filter.to {
        query = query.filter(
            payment::created_at
                .lt(to)
                .and(payment::id.lt(page::last_id_about(to))),
        );
    }
    if let Some(least) = filter.amount.0 {
        query = query.filter(payment::amount_minor.ge(least));
    }
    if let Some(most) = filter.amount.1 {
        query = query.filter(payment::amount_minor.le(most));
    }
    if let Some(currency) = &filter.currency {
        query = query.filter(payment::currency.eq(currency));
    }
    if let Some(before) = filter.before {
        query = query.filter(payment::id.lt(before));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(Row::into_payment).collect()
}
