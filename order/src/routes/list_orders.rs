//! `GET /orders`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::page::{self, List, Page, limit};
use chassis::problem::Problem;
use chassis::query::Query;
use chrono::{DateTime, Utc};
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::view::{OrderView, ReasonView, StatusView};
use crate::app::State;
use crate::store::{self, ListFilter};

/// Which orders.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListOrders {
    /// Only those in this status.
    #[garde(skip)]
    status: Option<StatusView>,
    /// Only this customer's; for admins.
    #[garde(skip)]
    customer: Option<Uuid>,
    /// Only those cancelled for this reason.
    #[garde(skip)]
    reason: Option<ReasonView>,
    /// Only those with this payment method.
    #[garde(skip)]
    #[param(example = "pm_card_visa")]
    method: Option<String>,
    /// Only those placed at this time or later.
    #[garde(skip)]
    from: Option<DateTime<Utc>>,
    /// Only those placed before this time.
    #[garde(skip)]
    to: Option<DateTime<Utc>>,
    /// Only those with exactly this total, in minor units.
    #[garde(skip)]
    #[param(example = 1999)]
    amount: Option<i64>,
    /// Only those with at least this total, in minor units.
    #[garde(skip)]
    amount_min: Option<i64>,
    /// Only those with at most this total, in minor units.
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

/// The caller's orders, the newest first; an admin sees everybody's.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(ListOrders),
    responses(
        (status = 200, description = "A page of orders", body = Page<OrderView>, headers(("Link" = Option<String>))),
        (status = 403, description = "A filter that only admins may use"),
    ),
)]
#[get("/orders")]
pub(super) async fn list_orders(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    Query(query): Query<ListOrders>,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, caller.user_id)?;
    let filter = ListFilter {
        customer_id: caller.whose(query.customer)?,
        status: query.status.map(StatusView::name),
        reason: query.reason.map(ReasonView::name),
        method: query.method,
        from: query.from,
        to: query.to,
        amount: page::range(query.amount, query.amount_min, query.amount_max),
        currency: query.currency,
        before: list.position(query.cursor.as_deref())?,
    };
    let limit = limit(query.limit);
    let mut conn = state.pool.get().await?;
    let orders = store::list(&mut conn, &filter, i64::from(limit) + 1).await?;
    let views: Vec<OrderView> = orders.into_iter().map(OrderView::from).collect();
    Ok(list.page(views, limit, |order| order.id)?.respond(&request))
}
