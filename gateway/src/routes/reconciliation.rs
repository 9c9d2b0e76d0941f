//! `GET /operations/reconciliation`: orders against payments, and both against the timeline.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use books::{Limits, Report};
use chassis::problem::{Code, Problem};
use chassis::query::Query;
use chassis::{Pool, clock};
use chrono::{DateTime, TimeDelta, Utc};
use garde::Validate;
use messaging::operations::Operations;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::forward::request_id;
use crate::config::ReconciliationSettings;
use crate::edge;
use crate::proxy::Proxy;
use crate::reconciliation::{Reader, Window, balance};

const LIMIT: usize = 1_000;
const SINCE: TimeDelta = TimeDelta::hours(24);

/// Which orders.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Compare {
    /// Only orders that were placed after this; the last 24 hours unless said.
    #[garde(skip)]
    since: Option<DateTime<Utc>>,
    /// How many orders at most, the newest; 1000 unless said.
    #[garde(range(min = 1, max = 10_000))]
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
}

/// What came of the comparison.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reconciliation {
    /// Which orders were compared.
    window: Window,
    #[serde(flatten)]
    report: Report,
}

/// Compares orders with their payments, and both with what was announced about them. Each mismatch comes with a
/// proposed repair. What has just changed or is not final yet is counted as in flight, and not judged.
#[utoipa::path(
    get,
    path = "/operations/reconciliation",
    tag = "operations",
    params(Compare),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The comparison; `balanced` tells whether anything is wrong", body = Reconciliation),
        (status = 400, description = "A malformed query"),
        (status = 502, description = "A service did not answer"),
        (status = 504, description = "A service did not answer in time"),
    )
)]
pub(crate) async fn reconciliation(
    request: HttpRequest,
    proxy: web::Data<Proxy>,
    pool: web::Data<Pool>,
    settings: web::Data<ReconciliationSettings>,
    operations: web::Data<Operations>,
) -> Result<HttpResponse, Problem> {
    let principal = edge::admit(&request).await?;
    if !principal.is_admin() {
        return Err(Problem::new(Code::Forbidden));
    }
    let Query(query) = Query::<Compare>::extract(&request).await?;
    let window = Window {
        since: query.since.unwrap_or_else(|| clock::now() - SINCE),
        limit: query.limit.unwrap_or(LIMIT),
        complete: true,
    };
    let limits = Limits {
        grace: settings.grace(),
        order_deadline: settings.deadline(),
        payment_deadline: settings.deadline(),
        ..Limits::default()
    };
    let reader = Reader {
        request: &request,
        request_id: request_id(&request),
        proxy: &proxy,
        pool: &pool,
        operations: &operations,
    };
    let (report, window) = balance(&reader, &window, &limits).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(Reconciliation { window, report }))
}
