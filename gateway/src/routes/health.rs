//! `GET /health`: every service, its database and its broker.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, web};
use chassis::Health;
use chassis::health::{OverallStatus, PartStatus};
use futures::future::{join, join_all};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::domain::routing::Upstream;
use crate::proxy::Proxy;

/// How long an answer is given again: asking often costs the services nothing.
const FRESH: Duration = Duration::from_millis(250);

/// The whole platform.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlatformHealth {
    /// `ok` when every service is.
    status: OverallStatus,
    /// Each service by name.
    services: BTreeMap<&'static str, ServiceHealth>,
}

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceHealth {
    status: ServiceStatus,
    database: PartStatus,
    broker: PartStatus,
}

/// A service in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServiceStatus {
    /// Every part is up.
    Ok,
    /// A part is down.
    Degraded,
    /// It does not answer.
    Down,
}

/// The last answer. Whoever asks while one is being gathered waits for it instead of gathering another.
#[derive(Debug, Default)]
pub(crate) struct LastAnswer(Mutex<Option<(Instant, PlatformHealth)>>);

impl ServiceHealth {
    /// Of a service that says nothing, nothing can be relied on.
    const SILENT: Self = Self {
        status: ServiceStatus::Down,
        database: PartStatus::Down,
        broker: PartStatus::Down,
    };
}

impl PlatformHealth {
    fn of(services: BTreeMap<&'static str, ServiceHealth>) -> Self {
        let all_ok = services
            .values()
            .all(|service| service.status == ServiceStatus::Ok);
        Self {
            status: if all_ok {
                OverallStatus::Ok
            } else {
                OverallStatus::Degraded
            },
            services,
        }
    }
}

/// Asks every service at once, and itself.
#[utoipa::path(
    get,
    path = "/health",
    tag = "gateway",
    responses(
        (status = 200, description = "Everything is up", body = PlatformHealth),
        (status = 503, description = "Something is down", body = PlatformHealth),
    )
)]
pub(crate) async fn health(
    proxy: web::Data<Proxy>,
    own: web::Data<Health>,
    last: web::Data<LastAnswer>,
) -> HttpResponse {
    let answer = {
        let mut last = last.0.lock().await;
        match &*last {
            Some((at, answer)) if at.elapsed() < FRESH => answer.clone(),
            Some(_) | None => {
                let answer = gather(&proxy, &own).await;
                *last = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    };
    let mut response = match answer.status {
        OverallStatus::Ok => HttpResponse::Ok(),
        OverallStatus::Degraded => HttpResponse::ServiceUnavailable(),
    };
    response
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(answer)
}

async fn gather(proxy: &Proxy, own: &Health) -> PlatformHealth {
    let asked = join_all(Upstream::ALL.map(async |upstream| {
        let answer: Option<ServiceHealth> = proxy.ask(upstream, "/health").await;
        (upstream.name(), answer.unwrap_or(ServiceHealth::SILENT))
    }));
    let (answers, own) = join(asked, own_health(own)).await;
    PlatformHealth::of(answers.into_iter().chain([("gateway", own)]).collect())
}

async fn own_health(own: &Health) -> ServiceHealth {
    let report = own.report().await;
    let part = |name: &str| report.parts.get(name).copied().unwrap_or(PartStatus::Down);
    let status = match report.status {
        OverallStatus::Ok => ServiceStatus::Ok,
        OverallStatus::Degraded => ServiceStatus::Degraded,
    };
    ServiceHealth {
        status,
        database: part("database"),
        broker: part("broker"),
    }
}
