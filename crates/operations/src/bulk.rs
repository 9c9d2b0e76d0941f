//! Replaying many letters.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chassis::auth::AdminPrincipal;
use chassis::idempotency::{IdempotencyHeader, IdempotencyKey};
use chassis::json::Json;
use chassis::problem::Problem;
use garde::Validate;
use messaging::once::Answer;
use messaging::operations::{Filter, Operations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::act::{Reason, mandate, request_key, respond};
use crate::{id, problem, view};

/// Which letters; nothing set is all that are open.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Which {
    /// Only those that died of this.
    fingerprint: Option<String>,
    /// Only those with this key.
    key: Option<String>,
    /// Only those of this topic or action.
    name: Option<String>,
}

/// A bulk replay.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulk {
    #[garde(skip)]
    filter: Which,
    #[garde(length(chars, min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    #[serde(default = "ten")]
    #[garde(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000)]
    rate_per_second: i32,
    #[serde(default)]
    #[garde(skip)]
    dry_run: bool,
}

const fn ten() -> i32 {
    10
}

/// Starts a paced replay of all open letters that match; a dry run only counts them.
#[utoipa::path(post, path = "/dead-letters/replay", tag = "operations", security(("bearer" = [])),
    params(IdempotencyHeader), request_body = Bulk,
    responses((status = 202, description = "The job", body = view::Job, headers(("Idempotent-Replayed" = Option<String>)))))]
pub(crate) async fn replay_many(
    admin: AdminPrincipal,
    operations: Data<Operations>,
    key: IdempotencyKey,
    request: HttpRequest,
    body: Json<Bulk>,
) -> Result<HttpResponse, Problem> {
    let bulk = body.into_inner();
    let key = request_key(&admin.0, key, &request, &bulk)?;
    let filter = Filter {
        fingerprint: bulk.filter.fingerprint,
        key: bulk.filter.key,
        name: bulk.filter.name,
    };
    let answer = if bulk.dry_run {
        Answer {
            document: operations.would_replay(&filter).await.map_err(problem)?,
            repeated: false,
        }
    } else {
        let why = mandate(&admin, bulk.reason);
        operations
            .replay_many(&filter, bulk.rate_per_second, &why, key.as_ref())
            .await
            .map_err(problem)?
    };
    respond_with_job(HttpResponse::Accepted(), answer)
}

/// The job as it is documented, whatever else the row has.
fn respond_with_job(response: HttpResponseBuilder, answer: Answer) -> Result<HttpResponse, Problem> {
    let job: view::Job = view::shaped(answer.document)?;
    let document = serde_json::to_value(job).map_err(Problem::internal)?;
    Ok(respond(response, &Answer { document, ..answer }))
}

/// How far a bulk replay is.
#[utoipa::path(get, path = "/dead-letters/jobs/{id}", tag = "operations", security(("bearer" = [])),
    params(("id" = Uuid, Path)), responses((status = 200, description = "The job", body = view::Job)))]
pub(crate) async fn job(
    _: AdminPrincipal,
    operations: Data<Operations>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let job = operations.job(id(&path)?).await.map_err(problem)?;
    Ok(HttpResponse::Ok().json(view::shaped::<view::Job>(job)?))
}

/// Stops a bulk replay.
#[utoipa::path(post, path = "/dead-letters/jobs/{id}/stop", tag = "operations", security(("bearer" = [])),
    params(("id" = Uuid, Path), IdempotencyHeader), request_body = Reason,
    responses((status = 200, description = "The job", body = view::Job, headers(("Idempotent-Replayed" = Option<String>)))))]
pub(crate) async fn stop(
    admin: AdminPrincipal,
    operations: Data<Operations>,
    path: Path<String>,
    key: IdempotencyKey,
    request: HttpRequest,
    body: Json<Reason>,
) -> Result<HttpResponse, Problem> {
    let body = body.into_inner();
    let key = request_key(&admin.0, key, &request, &body)?;
    let why = mandate(&admin, body.reason);
    let answer = operations
        .stop_job(id(&path)?, &why, key.as_ref())
        .await
        .map_err(problem)?;
    respond_with_job(HttpResponse::Ok(), answer)
}
