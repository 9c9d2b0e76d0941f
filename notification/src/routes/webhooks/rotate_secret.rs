//! `POST /notifications/webhooks/{id}/rotate-secret`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::problem::Problem;
use chrono::TimeDelta;
use diesel_async::AsyncConnection;
use secrecy::ExposeSecret;

use super::view::SecretView;
use super::{audited, id, no_webhook};
use crate::app::State;
use crate::store;
use crate::webhooks::Secret;

/// Gives a webhook of the caller's a new secret, which is in this answer and in no other. The one before it signs
/// besides for a while, so that the receiver can change over.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook")),
    responses(
        (status = 200, description = "The new secret", body = SecretView),
    ),
)]
#[post("/notifications/webhooks/{id}/rotate-secret")]
pub(in crate::routes) async fn rotate_secret(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = id(&path)?;
    let (secret, now) = (Secret::generate(), clock::now());
    let overlap = now + TimeDelta::seconds(state.webhooks.rotation_overlap_s.into());
    let mut conn = state.pool.get().await?;
    let rotated = conn
        .transaction(async |conn| {
            let Some(webhook) = store::webhook_to_change(conn, id, caller.user_id).await? else {
                return Ok(false);
            };
            let same = Some(&webhook);
            audited::record(conn, &caller, "rotate-webhook-secret", id, same, same).await?;
            store::rotate_secret(conn, id, caller.user_id, secret.bytes(), overlap, now).await
        })
        .await?;
    if !rotated {
        return Err(no_webhook());
    }
    Ok(HttpResponse::Ok().json(SecretView {
        secret: secret.shown().expose_secret().to_owned(),
    }))
}
