//! Acting on one letter.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chassis::auth::{AdminPrincipal, Principal};
use chassis::idempotency::{IdempotencyHeader, IdempotencyKey, REPLAYED, request_hash};
use chassis::json::Json;
use chassis::problem::Problem;
use garde::Validate;
use messaging::once::{Answer, RequestKey};
use messaging::operations::{Act, Letter, Mandate, Operations};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{id, problem, view};

/// Why.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "what failed is in order again"}))]
pub(crate) struct Reason {
    /// For the audit.
    #[garde(length(chars, min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    pub(crate) reason: String,
}

/// Another payload, and why.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    /// The payload to replay in place of the original's.
    #[garde(skip)]
    payload: Value,
    /// For the audit.
    #[garde(length(chars, min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

pub(crate) fn mandate(admin: &AdminPrincipal, reason: String) -> Mandate {
    Mandate {
        actor: admin.0.user_id.uuid(),
        reason,
    }
}

/// The key of what the caller asks for, if the request has one. It counts for the request's path: the same key elsewhere is
/// another one, and there with another body it is refused.
///
/// # Errors
/// When the body has no JSON form: a bug.
pub fn request_key(
    caller: &Principal,
    IdempotencyKey(key): IdempotencyKey,
    request: &HttpRequest,
    body: &impl Serialize,
) -> Result<Option<RequestKey>, Problem> {
    let Some(key) = key else { return Ok(None) };
    Ok(Some(RequestKey {
        actor: caller.user_id.uuid(),
        key: format!("{} {key}", request.path()),
        hash: request_hash(body)?,
    }))
}

/// An answer, marked when it was given before.
#[must_use]
pub fn respond(mut response: HttpResponseBuilder, answer: &Answer) -> HttpResponse {
    if answer.repeated {
        response.insert_header(REPLAYED);
    }
    response.json(&answer.document)
}

async fn act(
    operations: &Operations,
    path: &str,
    act: Act,
    mandate: &Mandate,
    key: Option<RequestKey>,
) -> Result<HttpResponse, Problem> {
    let view = |letter: &Letter| json!(view::Summary::from(letter));
    let answer = operations
        .act_once(id(path)?, act, mandate, key.as_ref(), view)
        .await
        .map_err(problem)?;
    Ok(respond(HttpResponse::Ok(), &answer))
}

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $path:literal, $act:expr) => {
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "operations", security(("bearer" = [])),
            params(("id" = Uuid, Path), IdempotencyHeader), request_body = Reason,
            responses((status = 200, description = "The letter as it is now", body = view::Summary,
                headers(("Idempotent-Replayed" = Option<String>)))))]
        pub(crate) async fn $name(
            admin: AdminPrincipal,
            operations: Data<Operations>,
            path: Path<String>,
            key: IdempotencyKey,
            request: HttpRequest,
            body: Json<Reason>,
        ) -> Result<HttpResponse, Problem> {
            let body = body.into_inner();
            let key = request_key(&admin.0, key, &request, &body)?;
            act(&operations, &path, $act, &mandate(&admin, body.reason), key).await
        }
    };
}

plain!(
    /// Sends a dead letter round again.
    replay, "/dead-letters/{id}/replay", Act::Replay
);
plain!(
    /// Gives a dead letter up for good.
    discard, "/dead-letters/{id}/discard", Act::Discard
);
plain!(
    /// Takes a discarded letter back.
    restore, "/dead-letters/{id}/restore", Act::Restore
);

/// Sends another payload round in a letter's place, which is superseded.
#[utoipa::path(post, path = "/dead-letters/{id}/edit-and-replay", tag = "operations", security(("bearer" = [])),
    params(("id" = Uuid, Path), IdempotencyHeader), request_body = Edit,
    responses((status = 200, description = "The original, superseded", body = view::Summary,
        headers(("Idempotent-Replayed" = Option<String>)))))]
pub(crate) async fn edit(
    admin: AdminPrincipal,
    operations: Data<Operations>,
    path: Path<String>,
    key: IdempotencyKey,
    request: HttpRequest,
    body: Json<Edit>,
) -> Result<HttpResponse, Problem> {
    let edit = body.into_inner();
    let key = request_key(&admin.0, key, &request, &edit)?;
    let payload = serde_json::to_vec(&edit.payload).map_err(Problem::internal)?;
    let mandate = mandate(&admin, edit.reason);
    act(&operations, &path, Act::Edit(payload), &mandate, key).await
}
