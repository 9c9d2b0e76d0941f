//! `GET /payments`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::page::{self, List, Page, limit};
use chassis::problem::Problem;
use chassis::query::Query;
use chrono::{DateTime, Utc};
use contracts::OrderId;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::view::{DisputeView, PaymentView, StatusView};
use crate::app::State;
use crate::store::{self, ListFilter};

/// Which payments.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListPayments {
    /// Only this order's.
    #[garde(skip)]
    order_id: Option<Uuid>,
    /// Only those in this status.
    #[garde(skip)]
    status: Option<StatusView>,
    /// Only this customer's; for admins.
    #[garde(skip)]
    customer: Option<Uuid>,
    /// Only those that failed with this code.
    #[garde(skip)]
    #[param(example = "card_declined")]
    reason: Option<String>,
    /// Only those by this payment method.
    #[garde(skip)]
    #[param(example = "pm_card_visa")]
    method: Option<String>,
    /// Only those that began at this time or later.
    #[garde(skip)]
    from: Option<DateTime<Utc>>,
    /// Only those that began before this time.
    #[garde(skip)]
    to: Option<DateTime<Utc>>,
    /// Only those of exactly this amount, in minor units.
    #[garde(skip)]
    #[param(example = 1999)]
    amount: Option<i64>,
    /// Only those of at least this amount, in minor units.
    #[garde(skip)]
    amount_min: Option<i64>,
    /// Only those of at most this amount, in minor units.
    #[garde(skip)]
    amount_max: Option<i64>,
    /// Only those in this currency.
    #[garde(skip)]
    #[param(example = "EUR")]
    currency: Option<String>,
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// The caller's payments, the newest first; an admin sees everybody's.
#[utoipa::path(
    tag = "payments",
    security(("bearer" = [])),
    params(ListPayments),
    responses(
        (status = 200, description = "A page of payments", body = Page<PaymentView>, headers(("Link" = Option<String>))),
        (status = 403, description = "A filter that only admins may use"),
    ),
)]
#[get("/payments")]
pub(super) async fn list_payments(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    Query(query): Query<ListPayments>,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, caller.user_id)?;
    let filter = ListFilter {
        customer_id: caller.whose(query.customer)?,
        order_id: query.order_id.map(OrderId::new),
        status: query.status.map(StatusView::name),
        reason: query.reason,
        method: query.method,
        from: query.from,
        to: query.to,
        amount: page::range(query.amount, query.amount_min, query.amount_max),
        currency: query.currency,
        before: list.position(query.cursor.as_deref())?,
    };
    let limit = limit(query.limit);
    let mut conn = state.pool.get().await?;
    let payments = store::list(&mut conn, &filter, i64::from(limit) + 1).await?;
    let charges = store::charges_of(&mut conn, &payments).await?;
    let orders: Vec<Uuid> = payments
        .iter()
        .map(|payment| payment.state.order_id.uuid())
        .collect();
    let mut disputes = store::disputes_of(&mut conn, &orders).await?;
    let views: Vec<PaymentView> = payments
        .into_iter()
        .map(|payment| {
            let order = payment.state.order_id.uuid();
            let disputes = DisputeView::all(disputes.remove(&order), &caller);
            PaymentView::new(payment, charges.get(&order), disputes)
        })
        .collect();
    Ok(list.page(views, limit, |payment| payment.id)?.respond(&request))
}
