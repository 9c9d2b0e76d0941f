//! `GET /notifications/webhooks/{id}`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::etag;
use chassis::problem::Problem;

use super::view::WebhookView;
use super::{id, no_webhook};
use crate::app::State;
use crate::store;

/// One webhook of the caller's.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` seen before")),
    responses(
        (status = 200, description = "The webhook", body = WebhookView, headers(("ETag" = String))),
        (status = 304, description = "It is as it was"),
    ),
)]
#[get("/notifications/webhooks/{id}")]
pub(in crate::routes) async fn get_webhook(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = id(&path)?;
    let mut conn = state.pool.get().await?;
    let webhook = store::webhook_of(&mut conn, id, caller.user_id).await?;
    let webhook = webhook.ok_or_else(no_webhook)?;
    let version = webhook.updated_at.timestamp_micros();
    Ok(etag::respond(&request, version, &WebhookView::from(webhook)))
}
