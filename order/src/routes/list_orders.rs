//! `GET /orders`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::page::{List, Page, limit};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::{OrderView, StatusView};
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
        customer_id: (!caller.is_admin()).then_some(caller.user_id),
        status: query.status.map(StatusView::name),
        before: list.position(query.cursor.as_deref())?,
    };
    let limit = limit(query.limit);
    let mut conn = state.pool.get().await?;
    let orders = store::list(&mut conn, &filter, i64::from(limit) + 1).await?;
    let views: Vec<OrderView> = orders.into_iter().map(OrderView::from).collect();
    Ok(list.page(views, limit, |order| order.id)?.respond(&request))
}
