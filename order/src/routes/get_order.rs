//! `GET /orders/{id}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::etag;
use chassis::problem::Problem;

use super::view::OrderView;
use super::{not_found, order_id};
use crate::app::State;
use crate::store;

/// One order; another's is not there.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The order"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` seen before")),
    responses(
        (status = 200, description = "The order", body = OrderView, headers(("ETag" = String))),
        (status = 304, description = "It is as it was"),
    ),
)]
#[get("/orders/{id}")]
pub(super) async fn get_order(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = order_id(&path)?;
    let mut conn = state.pool.get().await?;
    let order = store::find(&mut conn, id)
        .await?
        .filter(|order| caller.may_see(order.state.customer_id))
        .ok_or_else(not_found)?;
    Ok(etag::respond(&request, order.version, &OrderView::from(order)))
}
