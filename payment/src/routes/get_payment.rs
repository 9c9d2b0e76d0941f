//! `GET /payments/{id}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::etag;
use chassis::problem::Problem;
use contracts::PaymentId;

use super::not_found;
use super::view::{DisputeView, PaymentView};
use crate::app::State;
use crate::store;

/// One payment; another's is not there.
#[utoipa::path(
    tag = "payments",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The payment"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` seen before")),
    responses(
        (status = 200, description = "The payment", body = PaymentView, headers(("ETag" = String))),
        (status = 304, description = "It is as it was"),
    ),
)]
#[get("/payments/{id}")]
pub(super) async fn get_payment(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id: PaymentId = path.parse().map_err(|_no_id: uuid::Error| not_found())?;
    let mut conn = state.pool.get().await?;
    let payment = store::find(&mut conn, id)
        .await?
        .filter(|payment| caller.may_see(payment.state.customer_id))
        .ok_or_else(not_found)?;
    let charges = store::charges_of(&mut conn, std::slice::from_ref(&payment)).await?;
    let charge = charges.get(&payment.state.order_id.uuid());
    let order = payment.state.order_id.uuid();
    let disputes = store::disputes_of(&mut conn, &[order]).await?.remove(&order);
    let view = PaymentView::new(payment, charge, DisputeView::all(disputes, &caller));
    Ok(etag::respond(&request, view.tag(), &view))
}
