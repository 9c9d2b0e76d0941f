//! `POST /notifications/webhooks`

use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::idempotency::{IdempotencyHeader, IdempotencyKey, REPLAYED, request_hash};
use chassis::json::Json;
use chassis::problem::{Code, Problem};
use diesel_async::AsyncConnection;
use garde::Validate;
use messaging::Conn;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::view::{NewWebhookView, WebhookView};
use super::{audited, callable, described, kinds_of};
use crate::app::State;
use crate::routes::view::KindView;
use crate::store::idempotency::{self, Used};
use crate::store::{self, NewWebhook};
use crate::webhooks::{Secret, shown};

/// A webhook to register.
#[derive(Serialize, Deserialize, Validate, ToSchema)]
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
///
/// With an `Idempotency-Key`, sending the same body again gets the stored answer as long as the webhook is there, and another
/// body 422.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(IdempotencyHeader),
    request_body = CreateWebhook,
    responses(
        (status = 201, description = "It is registered", body = NewWebhookView,
            headers(("Location" = String), ("Idempotent-Replayed" = Option<String>))),
    ),
)]
#[post("/notifications/webhooks")]
pub(in crate::routes) async fn create_webhook(
    caller: Principal,
    state: Data<State>,
    IdempotencyKey(key): IdempotencyKey,
    Json(asked): Json<CreateWebhook>,
) -> Result<HttpResponse, Problem> {
    let request_hash = request_hash(&asked)?;
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
    let registered = conn
        .transaction(async |conn| register(conn, &caller, new, max, key.as_deref(), request_hash).await)
        .await?;
    match registered {
        Registered::Now(answer) => created(&answer, false),
        Registered::Before(answer) => created(&answer, true),
        Registered::OtherBody => Err(Problem::new(Code::IdempotencyMismatch)),
        Registered::TooMany => {
            Err(Problem::new(Code::Conflict).detail(format!("a user has at most {max} webhooks")))
        }
    }
}

/// What became of a registration.
enum Registered {
    Now(Used),
    /// The key was used for it.
    Before(Used),
    /// The key was used for another one.
    OtherBody,
    TooMany,
}

async fn register(
    conn: &mut Conn,
    caller: &Principal,
    new: NewWebhook,
    max: u16,
    key: Option<&str>,
    request_hash: Vec<u8>,
) -> Result<Registered, diesel::result::Error> {
    let (user, secret) = (new.user_id, new.secret.clone());
    if let Some(key) = key
        && let Some(used) = idempotency::find(conn, user, key).await?
    {
        return Ok(match used.request_hash == request_hash {
            true => Registered::Before(used),
            false => Registered::OtherBody,
        });
    }
    let Some(webhook) = store::create_webhook(conn, new, max.into()).await? else {
        return Ok(Registered::TooMany);
    };
    let id = webhook.id;
    audited::record(conn, caller, "create-webhook", id, None, Some(&webhook)).await?;
    let response = serde_json::to_value(WebhookView::from(webhook))
        .map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    let used = Used {
        request_hash,
        response,
        secret,
    };
    if let Some(key) = key {
        idempotency::keep(conn, user, key, id, &used).await?;
    }
    Ok(Registered::Now(used))
}

/// The answer with its secret, which is kept apart from it.
fn created(used: &Used, before: bool) -> Result<HttpResponse, Problem> {
    let (Some(answer), Some(id)) = (
        used.response.as_object(),
        used.response.get("id").and_then(Value::as_str),
    ) else {
        return Err(Problem::internal(anyhow::anyhow!("the answer is no webhook")));
    };
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, format!("/notifications/webhooks/{id}")));
    if before {
        response.insert_header(REPLAYED);
    }
    let mut answer = answer.clone();
    let secret = shown(&used.secret).expose_secret().to_owned();
    answer.insert("secret".to_owned(), Value::String(secret));
    Ok(response.json(answer))
}
