//! `PATCH /notifications/webhooks/{id}`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, patch};
use chassis::auth::Principal;
use chassis::clock;
use chassis::json::Json;
use chassis::problem::Problem;
use diesel_async::AsyncConnection;
use garde::Validate;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::view::WebhookView;
use super::{audited, callable, described, id, kinds_of, no_webhook};
use crate::app::State;
use crate::routes::view::KindView;
use crate::store::{self, WebhookPatch};

/// What to change; what is not there stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kinds": ["order_confirmed", "order_cancelled", "payment_refunded"],
    "description": "the shop's back office",
    "enabled": true,
}))]
pub(in crate::routes) struct PatchWebhook {
    /// An https URL at a public address.
    #[garde(skip)]
    #[serde(default)]
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// What it hears of; null for every kind.
    #[garde(skip)]
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Vec<KindView>>)]
    kinds: Option<Option<Vec<KindView>>>,
    /// Null for none.
    #[garde(skip)]
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, max_length = 200)]
    description: Option<Option<String>>,
    /// Enabled again, a webhook begins without failures.
    #[garde(skip)]
    #[serde(default)]
    enabled: Option<bool>,
}

/// Tells null from nothing.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Changes a webhook of the caller's.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook")),
    request_body = PatchWebhook,
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView),
    ),
)]
#[patch("/notifications/webhooks/{id}")]
pub(in crate::routes) async fn patch_webhook(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
    Json(asked): Json<PatchWebhook>,
) -> Result<HttpResponse, Problem> {
    let id = id(&path)?;
    let url = match asked.url {
        Some(url) => Some(callable(&state.guard, url).await?),
        None => None,
    };
    let patch = WebhookPatch {
        url,
        kinds: asked.kinds.map(kinds_of).transpose()?,
        description: asked.description.map(described).transpose()?,
        enabled: asked.enabled,
    };
    let mut conn = state.pool.get().await?;
    let webhook = conn
        .transaction(async |conn| {
            let before = store::webhook_to_change(conn, id, caller.user_id).await?;
            let after = store::patch_webhook(conn, id, caller.user_id, patch, clock::now()).await?;
            audited::record(
                conn,
                &caller,
                "patch-webhook",
                id,
                before.as_ref(),
                after.as_ref(),
            )
            .await?;
            Ok::<_, diesel::result::Error>(after)
        })
        .await?;
    let webhook = webhook.ok_or_else(no_webhook)?;
    Ok(HttpResponse::Ok().json(WebhookView::from(webhook)))
}
