//! Orders and payments, page by page, the newest first.

use std::collections::HashSet;

use actix_web::http::uri::PathAndQuery;
use books::reading::{Amount, Dispute, Line, Order, OrderStatus, Payment, time_of};
use chassis::page::{MAX_LIMIT, Page};
use chassis::problem::Problem;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::Reader;
use crate::domain::routing::Upstream;
use crate::proxy::ProxyError;

/// Open disputes that are shown at most, the newest.
pub(super) const OPEN_DISPUTES_MAX: usize = 1_000;

/// An order as the order service shows it.
#[derive(Deserialize)]
struct OrderView {
    id: Uuid,
    customer_id: Uuid,
    status: OrderStatus,
    items: Vec<Line>,
    total: Amount,
    cancellation: Option<Cancellation>,
    payment_method: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Cancellation {
    reason: String,
    code: Option<String>,
    refunded: bool,
}

impl From<OrderView> for Order {
    fn from(view: OrderView) -> Self {
        let (reason, code, refunded) = view.cancellation.map_or((None, None, false), |cancellation| {
            (
                Some(cancellation.reason),
                cancellation.code,
                cancellation.refunded,
            )
        });
        Self {
            id: view.id,
            customer_id: view.customer_id,
            status: view.status,
            lines: view.items,
            total: view.total,
            payment_method: view.payment_method,
            payment_id: None,
            reason,
            code,
            refunded,
            announced: None,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

/// A payment as the payment service shows it.
#[derive(Deserialize)]
pub(super) struct PaymentView {
    #[serde(flatten)]
    pub(super) payment: Payment,
    #[serde(default)]
    disputes: Vec<Dispute>,
}

/// Disputes, and whether all open ones are among them.
pub(super) struct Disputes {
    pub(super) rows: Vec<Dispute>,
    pub(super) complete: bool,
}

impl Reader<'_> {
    /// The newest orders after `horizon`, `limit` at most; a limit that is reached moves the horizon.
    pub(super) async fn orders(
        &self,
        horizon: &mut DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Order>, Problem> {
        let views = self
            .newest(
                Upstream::Order,
                "/orders",
                "",
                horizon,
                limit,
                |order: &OrderView| order.id,
            )
            .await?;
        Ok(views.into_iter().map(Order::from).collect())
    }

    /// The newest payments after `horizon`. Twice as many as orders at most: some are of orders before the window.
    pub(super) async fn payments(
        &self,
        horizon: &mut DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<PaymentView>, Problem> {
        let limit = limit.saturating_mul(2);
        self.newest(
            Upstream::Payment,
            "/payments",
            "",
            horizon,
            limit,
            |view: &PaymentView| view.payment.id,
        )
        .await
    }

    /// The disputes of those payments, and all open ones, however old their payments: a dispute comes weeks after its order.
    pub(super) async fn disputes(&self, payments: &[PaymentView]) -> Result<Disputes, Problem> {
        let mut disputes: Vec<Dispute> = payments.iter().flat_map(|view| view.disputes.clone()).collect();
        let known: HashSet<Uuid> = disputes.iter().map(|dispute| dispute.id).collect();
        // an open one that is left out moves it
        let mut horizon = DateTime::<Utc>::MIN_UTC;
        let open = self
            .newest(
                Upstream::Payment,
                "/payments/disputes",
                "&state=open",
                &mut horizon,
                OPEN_DISPUTES_MAX,
                |dispute: &Dispute| dispute.id,
            )
            .await?;
        disputes.extend(open.into_iter().filter(|dispute| !known.contains(&dispute.id)));
        Ok(Disputes {
            rows: disputes,
            complete: horizon == DateTime::<Utc>::MIN_UTC,
        })
    }

    async fn newest<T: DeserializeOwned>(
        &self,
        upstream: Upstream,
        path: &'static str,
        filter: &'static str,
        horizon: &mut DateTime<Utc>,
        limit: usize,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<Vec<T>, Problem> {
        // ids are version 7 UUIDs: their order is that of time
        let time = |item: &T| time_of(id(item)).unwrap_or_default();
        let mut items: Vec<T> = Vec::new();
        let mut cursor = String::new();
        loop {
            // one more than is wanted tells whether there are more
            let wanted = limit.saturating_add(1).saturating_sub(items.len());
            let target = format!("{path}?limit={}{filter}{cursor}", wanted.min(MAX_LIMIT.into()));
            let page: Page<T> = self.page(upstream, target).await?;
            items.extend(page.items);
            if let Some(beyond) = items.get(limit) {
                *horizon = time(beyond).max(*horizon);
                items.truncate(limit);
                return Ok(items);
            }
            let reached = items.last().is_some_and(|oldest| time(oldest) <= *horizon);
            let Some(next) = page.next_cursor.filter(|_| !reached) else {
                return Ok(items);
            };
            cursor = format!("&cursor={next}");
        }
    }

    async fn page<T: DeserializeOwned>(&self, upstream: Upstream, target: String) -> Result<T, Problem> {
        let target = PathAndQuery::try_from(target).map_err(|_no_path| ProxyError::NoPath)?;
        Ok(self
            .proxy
            .read(self.request, upstream, target, &self.request_id)
            .await?)
    }
}
