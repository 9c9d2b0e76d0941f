//! `DELETE /notifications/webhooks/{id}`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete};
use chassis::auth::Principal;
use chassis::problem::Problem;

use super::{id, no_webhook};
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
    if store::delete_webhook(&mut conn, id, caller.user_id).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(no_webhook())
    }
}
