//! Replaying many letters.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::auth::AdminPrincipal;
use chassis::json::Json;
use chassis::problem::Problem;
use garde::Validate;
use messaging::operations::{Filter, Operations};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::act::{Reason, mandate};
use crate::{id, problem, view};

/// Which letters; nothing set is all that are open.
#[derive(Debug, Default, Deserialize, ToSchema)]
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
#[derive(Debug, Deserialize, Validate, ToSchema)]
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
    request_body = Bulk, responses((status = 202, description = "The job", body = view::Job)))]
pub(crate) async fn replay_many(
    admin: AdminPrincipal,
    operations: Data<Operations>,
    body: Json<Bulk>,
) -> Result<HttpResponse, Problem> {
    let bulk = body.into_inner();
    let filter = Filter {
        fingerprint: bulk.filter.fingerprint,
        key: bulk.filter.key,
        name: bulk.filter.name,
    };
    let job = operations
        .replay_many(
            &filter,
            bulk.rate_per_second,
            bulk.dry_run,
            &mandate(&admin, bulk.reason),
        )
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Accepted().json(view::shaped::<view::Job>(job)?))
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
    params(("id" = Uuid, Path)), request_body = Reason, responses((status = 200, description = "The job", body = view::Job)))]
pub(crate) async fn stop(
    admin: AdminPrincipal,
    operations: Data<Operations>,
    path: Path<String>,
    body: Json<Reason>,
) -> Result<HttpResponse, Problem> {
    let why = mandate(&admin, body.into_inner().reason);
    let job = operations.stop_job(id(&path)?, &why).await.map_err(problem)?;
    Ok(HttpResponse::Ok().json(view::shaped::<view::Job>(job)?))
}
