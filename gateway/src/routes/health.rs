//! `GET /health`: every service, its database and its broker.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, web};
use chassis::Health;
use chassis::health::OverallStatus;

use crate::jobs::gather_health::{LastAnswer, PlatformHealth};

/// How every service is, and the gateway itself, as of at most a second ago.
#[utoipa::path(
    get,
    path = "/health",
    tag = "gateway",
    responses(
        (status = 200, description = "Everything is up", body = PlatformHealth),
        (status = 503, description = "Something is down", body = PlatformHealth,
            example = json!(PlatformHealth::without_payments())),
    )
)]
pub(crate) async fn health(own: web::Data<Health>, last: web::Data<LastAnswer>) -> HttpResponse {
    let answer = last.get(&own).await;
    let mut response = match answer.status() {
        OverallStatus::Ok => HttpResponse::Ok(),
        OverallStatus::Degraded => HttpResponse::ServiceUnavailable(),
    };
    response
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(answer)
}
