//! Disputes' rows: loaded and saved with their payment, and read for the endpoints.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contracts::{Currency, DisputeId, Money, NoAction, OrderId, PaymentId};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use messaging::{Change, Conn, Repository, Versioned};
use uuid::Uuid;

use super::PaymentRepository;
use super::payments::unreadable;
use super::schema::dispute;
use crate::domain::{Dispute, DisputeStatus, DisputedPayment, Payment};

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = dispute)]
struct Row {
    id: Uuid,
    payment_id: Uuid,
    order_id: Uuid,
    provider: String,
    provider_reference: String,
    amount_minor: i64,
    currency: String,
    reason: String,
    status: String,
    respond_by: Option<DateTime<Utc>>,
    opened_at: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
    reinstated_at: Option<DateTime<Utc>>,
    reported_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn of(payment: &Payment, dispute: &Dispute) -> Self {
        Self {
            id: dispute.id.uuid(),
            payment_id: payment.id.uuid(),
            order_id: payment.order_id.uuid(),
            provider: payment.provider.clone(),
            provider_reference: dispute.reference.clone(),
            amount_minor: dispute.amount.amount_minor(),
            currency: dispute.amount.currency().code().to_owned(),
            reason: dispute.reason.clone(),
            status: dispute.status.as_str().to_owned(),
            respond_by: dispute.respond_by,
            opened_at: dispute.opened_at,
            closed_at: dispute.closed_at,
            withdrawn_at: dispute.withdrawn_at,
            reinstated_at: dispute.reinstated_at,
            reported_at: dispute.reported_at,
            created_at: dispute.created_at,
            updated_at: dispute.updated_at,
        }
    }

    fn into_stored(self) -> QueryResult<StoredDispute> {
        let currency = Currency::from_code(&self.currency)
            .ok_or_else(|| unreadable(format!("{:?} is not a currency", self.currency)))?;
        let status = DisputeStatus::from_name(&self.status)
            .ok_or_else(|| unreadable(format!("dispute {} is {:?}", self.id, self.status)))?;
        Ok(StoredDispute {
            payment_id: PaymentId::new(self.payment_id),
            order_id: OrderId::new(self.order_id),
            dispute: Dispute {
                id: DisputeId::new(self.id),
                reference: self.provider_reference,
                amount: Money::new(self.amount_minor, currency),
                reason: self.reason,
                status,
                respond_by: self.respond_by,
                opened_at: self.opened_at,
                closed_at: self.closed_at,
                withdrawn_at: self.withdrawn_at,
                reinstated_at: self.reinstated_at,
                reported_at: self.reported_at,
                created_at: self.created_at,
                updated_at: self.updated_at,
            },
        })
    }
}

/// A dispute, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDispute {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order that it pays for.
    pub order_id: OrderId,
    /// The dispute.
    pub dispute: Dispute,
}

/// Payments with their disputes. The payment's row guards both: its version grows with each change of a dispute.
#[derive(Debug, Clone, Copy)]
pub struct DisputeRepository;

#[async_trait]
impl Repository for DisputeRepository {
    type State = DisputedPayment;
    type Action = NoAction;

    async fn load(
        &self,
        conn: &mut Conn,
        ids: &[Uuid],
    ) -> QueryResult<Vec<(Uuid, Versioned<DisputedPayment>)>> {
        let payments = Repository::load(&PaymentRepository, conn, ids).await?;
        let mut disputes = disputes_of(conn, ids).await?;
        let with_disputes = |(id, stored): (Uuid, Versioned<Payment>)| {
            let state = DisputedPayment {
                payment: stored.state,
                disputes: disputes
                    .remove(&id)
                    .into_iter()
                    .flatten()
                    .map(|stored| stored.dispute)
                    .collect(),
            };
            let version = stored.version;
            (id, Versioned { version, state })
        };
        Ok(payments.into_iter().map(with_disputes).collect())
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<DisputedPayment>]) -> QueryResult<usize> {
        let payments: Vec<_> = changes
            .iter()
            .map(|change| Change {
                id: change.id,
                version: change.version,
                state: change.state.payment.clone(),
            })
            .collect();
        let saved = Repository::save(&PaymentRepository, conn, &payments).await?;
        let rows: Vec<_> = changes
            .iter()
            .flat_map(|Change { state, .. }| {
                let of_payment = |dispute| Row::of(&state.payment, dispute);
                state.disputes.iter().map(of_payment)
            })
            .collect();
        diesel::insert_into(dispute::table)
            .values(&rows)
            .on_conflict(dispute::id)
            .do_update()
            .set((
                dispute::reason.eq(excluded(dispute::reason)),
                dispute::status.eq(excluded(dispute::status)),
                dispute::respond_by.eq(excluded(dispute::respond_by)),
                dispute::closed_at.eq(excluded(dispute::closed_at)),
                dispute::withdrawn_at.eq(excluded(dispute::withdrawn_at)),
                dispute::reinstated_at.eq(excluded(dispute::reinstated_at)),
                dispute::reported_at.eq(excluded(dispute::reported_at)),
                dispute::updated_at.eq(excluded(dispute::updated_at)),
            ))
            .execute(conn)
            .await?;
        Ok(saved)
    }
}

/// The disputes of these orders' payments by order, the oldest first.
///
/// # Errors
/// The database's.
pub async fn disputes_of(conn: &mut Conn, orders: &[Uuid]) -> QueryResult<HashMap<Uuid, Vec<StoredDispute>>> {
    let rows: Vec<Row> = dispute::table
        .filter(dispute::order_id.eq_any(orders))
        .order(dispute::id)
        .select(Row::as_select())
        .load(conn)
        .await?;
    let mut by_order: HashMap<Uuid, Vec<StoredDispute>> = HashMap::new();
    for row in rows {
        let stored = row.into_stored()?;
        by_order.entry(stored.order_id.uuid()).or_default().push(stored);
    }
    Ok(by_order)
}

/// Which disputes a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct DisputeFilter {
    /// Only those that are open, or only those that are not.
    pub is_open: Option<bool>,
    /// Only those that were heard of before this one.
    pub before: Option<Uuid>,
}

/// The newest disputes first, `limit` at most.
///
/// # Errors
/// The database's.
pub async fn list_disputes(
    conn: &mut Conn,
    filter: DisputeFilter,
    limit: i64,
) -> QueryResult<Vec<StoredDispute>> {
    let mut query = dispute::table
        .order(dispute::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    match filter.is_open {
        Some(true) => query = query.filter(dispute::closed_at.is_null()),
        Some(false) => query = query.filter(dispute::closed_at.is_not_null()),
        None => {}
    }
    if let Some(before) = filter.before {
        query = query.filter(dispute::id.lt(before));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(Row::into_stored).collect()
}
