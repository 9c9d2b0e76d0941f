//! `GET /notifications/webhooks/{id}/deliveries/{delivery}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::etag;
use chassis::problem::Problem;

use super::view::DeliveryView;
use super::{id, no_delivery, no_webhook};
use crate::app::State;
use crate::store;

/// One delivery to a webhook of the caller's.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook"), ("delivery" = String, Path, format = "uuid", description = "The delivery"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` seen before")),
    responses(
        (status = 200, description = "The delivery", body = DeliveryView, headers(("ETag" = String))),
        (status = 304, description = "It is as it was"),
    ),
)]
#[get("/notifications/webhooks/{id}/deliveries/{delivery}")]
pub(in crate::routes) async fn get_delivery(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (webhook_id, delivery) = path.into_inner();
    let webhook_id = id(&webhook_id)?;
    let delivery = delivery.parse().map_err(|_no_id: uuid::Error| no_delivery())?;
    let mut conn = state.pool.get().await?;
    let webhook = store::webhook_of(&mut conn, webhook_id, caller.user_id).await?;
    webhook.ok_or_else(no_webhook)?;
    let sent = store::delivery_of(&mut conn, delivery, webhook_id).await?;
    let sent = sent.ok_or_else(no_delivery)?;
    let version = sent.delivery.updated_at.timestamp_micros();
    Ok(etag::respond(&request, version, &DeliveryView::from(sent)))
}
