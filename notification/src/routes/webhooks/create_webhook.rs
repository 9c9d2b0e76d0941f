//! `POST /notifications/webhooks`

use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::json::Json;
use chassis::problem::{Code, Problem, ProblemBody};
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::{NewWebhookView, SecretView};
use super::{callable, described, kinds_of};
use crate::app::State;
use crate::routes::view::KindView;
use crate::store::{self, NewWebhook};
use crate::webhooks::Secret;

/// A webhook to register.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "url": "https://example.org/hooks/quadrille",
    "kinds": ["order_confirmed", "order_cancelled"],
    "description": "the shop's back office",
}))]
pub(in crate::routes) struct CreateWebhook {
    /// An https URL at a public address.
    #[garde(skip)]
    #[schema(example = "https://example.org/hooks/quadrille", max_length = 2048)]
    url: String,
    /// What it hears of; every kind unless said.
    #[garde(skip)]
    #[serde(default)]
    kinds: Option<Vec<KindView>>,
    /// For its user.
    #[garde(skip)]
    #[serde(default)]
    #[schema(max_length = 200)]
    description: Option<String>,
}

/// Registers a webhook. Its secret is in this answer and in no other.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    request_body = CreateWebhook,
    responses(
        (status = 201, description = "It is registered", body = NewWebhookView, headers(("Location" = String))),
        (status = "4XX", description = "A problem with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem on our side", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[post("/notifications/webhooks")]
pub(in crate::routes) async fn create_webhook(
    caller: Principal,
    state: Data<State>,
    Json(asked): Json<CreateWebhook>,
) -> Result<HttpResponse, Problem> {
    let (kinds, description) = (kinds_of(asked.kinds)?, described(asked.description)?);
    let url = callable(&state.guard, asked.url).await?;
    let secret = Secret::generate();
    let new = NewWebhook {
        id: clock::new_id(),
        user_id: caller.user_id,
        url,
        kinds,
        description,
        secret: secret.bytes().clone(),
        now: clock::now(),
    };
    let max = state.webhooks.max_per_user;
    let mut conn = state.pool.get().await?;
    let webhook = conn
        .transaction(async |conn| store::create_webhook(conn, new, max.into()).await)
        .await?
        .ok_or_else(|| Problem::new(Code::Conflict).detail(format!("a user has at most {max} webhooks")))?;
    let location = format!("/notifications/webhooks/{}", webhook.id);
    let view = NewWebhookView {
        webhook: webhook.into(),
        secret: SecretView {
            secret: secret.shown().expose_secret().to_owned(),
        },
    };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .json(view))
}
