//! `GET /operations/replays`: the bulk replays of all services as one list.

use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chassis::page::{self, List};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use messaging::operations::Operations;
use operations::{Job, JobState, Jobs};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Desk, NO_STORE, Part, Position, ServiceName, merge, those_that_answered};
use crate::proxy::Proxy;

/// Which bulk replays.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[into_params(parameter_in = Query)]
pub(crate) struct AllJobs {
    /// Only this service's.
    service: Option<ServiceName>,
    /// Only those in this state.
    state: Option<JobState>,
    /// Jobs a page, 1 to 100; 20 unless said.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// From the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// A bulk replay, and where it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "service": "payments",
    "path": "/payments/dead-letters/jobs/019b7b20-5a10-7c3d-8e42-6b9f0d1c2e58",
    "id": "019b7b20-5a10-7c3d-8e42-6b9f0d1c2e58",
    "state": "running",
    "matched": 120,
    "replayed": 40,
    "failed_again": 1,
    "fingerprint": null,
    "key": null,
    "name": "charge",
    "actor": "019b7a00-0000-7d3a-9c55-2f6d0c6f9a11",
    "reason": "what failed is in order again",
    "rate_per_second": 10,
    "created_at": "2026-01-01T12:15:00.240Z",
    "finished_at": null,
}))]
pub(crate) struct ServiceReplayJob {
    /// Whose letters it sends round.
    service: ServiceName,
    /// Where it is looked at, and stopped: `…/stop`.
    path: String,
    #[serde(flatten)]
    job: Job,
}

/// A page of the bulk replays of all services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplaysOfAll {
    /// The jobs, the youngest first.
    items: Vec<ServiceReplayJob>,
    /// Pass it as `cursor` to get the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Services that did not answer: their jobs are missing.
    unanswered: Vec<ServiceName>,
}

impl AllJobs {
    fn of_one(&self, limit: u16, before: Option<Uuid>) -> Jobs {
        Jobs {
            state: self.state,
            before,
            limit: Some(limit),
            cursor: None,
        }
    }
}

/// Bulk replays of all services, the youngest first. A service that does not answer is named, and takes nothing from the
/// others.
#[utoipa::path(
    get,
    path = "/operations/replays",
    operation_id = "replays_of_all_services",
    tag = "operations",
    params(AllJobs),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of jobs", body = ReplaysOfAll),
        (status = 400, description = "A malformed query"),
        (status = 502, description = "The only service that was asked for did not answer"),
        (status = 504, description = "The only service that was asked for did not answer in time"),
    )
)]
pub(crate) async fn replays(
    request: HttpRequest,
    proxy: web::Data<Proxy>,
    operations: web::Data<Operations>,
) -> Result<HttpResponse, Problem> {
    let desk = Desk::open(&request, &proxy).await?;
    let Query(query) = Query::<AllJobs>::extract(&request).await?;
    let limit = page::limit(query.limit);
    let list = List::of(&request, desk.operator.user_id)?;
    let shown: Position<Option<Uuid>> = list.position(query.cursor.as_deref())?.unwrap_or_default();
    let before = |service: ServiceName| shown.get(service.as_str()).copied().flatten();
    let target = |service: ServiceName| query.of_one(limit, before(service)).target(service.as_str());
    let own = async {
        let asked = query.of_one(limit, before(ServiceName::Gateway));
        let jobs = operations::replay_jobs(&operations, asked, i64::from(limit) + 1).await?;
        Ok(Part::own(jobs, limit))
    };
    let parts = desk.parts(query.service, target, own).await;
    let (parts, unanswered) = those_that_answered(parts, query.service)?;
    let ids = |jobs: &[Job]| jobs.iter().map(|job| job.id).collect();
    let page = merge(&list, parts, limit, shown.clone(), ids, |job| job.id)?;
    let page = page.map(|(service, job)| ServiceReplayJob {
        path: format!(
            "/{}/dead-letters/jobs/{}",
            service.as_str(),
            job.id.unwrap_or_default()
        ),
        service,
        job,
    });
    let mut response = HttpResponse::Ok();
    response.insert_header(NO_STORE);
    page.link(&request, &mut response);
    Ok(response.json(ReplaysOfAll {
        items: page.items,
        next_cursor: page.next_cursor,
        unanswered,
    }))
}
