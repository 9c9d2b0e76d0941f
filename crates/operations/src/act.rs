//! Acting on one letter.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::auth::AdminPrincipal;
use chassis::json::Json;
use chassis::problem::Problem;
use garde::Validate;
use messaging::operations::{Act, Mandate, Operations};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{id, problem, view};

/// Why.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "what failed is in order again"}))]
pub(crate) struct Reason {
    /// For the audit.
    #[garde(length(chars, min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    pub(crate) reason: String,
}

/// Another payload, and why.
#[derive(Debug, Deserialize, Validate, ToSchema)]
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

async fn act(
    operations: &Operations,
    path: &str,
    act: Act,
    mandate: &Mandate,
) -> Result<HttpResponse, Problem> {
    let letter = operations.act(id(path)?, act, mandate).await.map_err(problem)?;
    Ok(HttpResponse::Ok().json(view::Summary::from(&letter)))
}

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $path:literal, $act:expr) => {
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "operations", security(("bearer" = [])),
            params(("id" = Uuid, Path)), request_body = Reason,
            responses((status = 200, description = "The letter as it is now", body = view::Summary)))]
        pub(crate) async fn $name(
            admin: AdminPrincipal,
            operations: Data<Operations>,
            path: Path<String>,
            body: Json<Reason>,
        ) -> Result<HttpResponse, Problem> {
            act(&operations, &path, $act, &mandate(&admin, body.into_inner().reason)).await
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
    params(("id" = Uuid, Path)), request_body = Edit,
    responses((status = 200, description = "The original, superseded", body = view::Summary)))]
pub(crate) async fn edit(
    admin: AdminPrincipal,
    operations: Data<Operations>,
    path: Path<String>,
    body: Json<Edit>,
) -> Result<HttpResponse, Problem> {
    let edit = body.into_inner();
    let payload = serde_json::to_vec(&edit.payload).map_err(Problem::internal)?;
    act(
        &operations,
        &path,
        Act::Edit(payload),
        &mandate(&admin, edit.reason),
    )
    .await
}
