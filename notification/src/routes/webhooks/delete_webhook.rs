//! `DELETE /notifications/webhooks/{id}`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete};
use chassis::auth::Principal;
use chassis::problem::Problem;
use diesel_async::AsyncConnection;

use super::{audited, id, no_webhook};
use crate::app::State;
use crate::store;

/// Removes a webhook of the caller's, with its deliveries.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook")),
    responses(
        (status = 204, description = "It is gone"),
    ),
)]
#[delete("/notifications/webhooks/{id}")]
pub(in crate::routes) async fn delete_webhook(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = id(&path)?;
    let mut conn = state.pool.get().await?;
    let gone = conn
        .transaction(async |conn| {
            let Some(before) = store::webhook_to_change(conn, id, caller.user_id).await? else {
                return Ok(false);
            };
            audited::record(conn, &caller, "delete-webhook", id, Some(&before), None).await?;
            store::delete_webhook(conn, id, caller.user_id).await
        })
        .await?;
    if gone {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(no_webhook())
    }
}
