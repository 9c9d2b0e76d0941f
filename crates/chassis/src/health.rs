//! What the process says about itself: `/health` for people, `/readyz` for load balancers.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use diesel_async::RunQueryDsl;
use futures::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::Pool;

/// How long a probe may take before it counts as down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// One thing the process needs, and how to ask whether it is there.
#[derive(Clone)]
pub struct Probe {
    name: &'static str,
    check: Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
}

impl Probe {
    /// A probe under the name it has in `/health`, for example `broker`. `check` answers whether it is up.
    pub fn new<F, Fut>(name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        Self {
            name,
            check: Arc::new(move || Box::pin(check())),
        }
    }

    /// Asks the database for a 1.
    #[must_use]
    pub fn database(pool: Pool) -> Self {
        Self::new("database", move || {
            let pool = pool.clone();
            async move {
                let Ok(mut connection) = pool.get().await else {
                    return false;
                };
                diesel::sql_query("SELECT 1")
                    .execute(&mut connection)
                    .await
                    .is_ok()
            }
        })
    }

    async fn is_up(&self) -> bool {
        tokio::time::timeout(PROBE_TIMEOUT, (self.check)())
            .await
            .unwrap_or(false)
    }
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartStatus {
    /// It answered.
    Ok,
    /// It did not.
    Down,
}

/// The whole, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OverallStatus {
    /// Every part is up.
    Ok,
    /// A part is down.
    Degraded,
}

/// The body of `/health`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// The whole.
    pub status: OverallStatus,
    /// Each part by name: `database`, `broker`.
    #[serde(flatten)]
    pub parts: BTreeMap<String, PartStatus>,
}

/// The process's probes. In the app data of the server the chassis starts.
#[derive(Clone)]
pub struct Health {
    probes: Arc<[Probe]>,
    draining: CancellationToken,
}

impl Health {
    /// The database's probe first, then the service's own.
    pub(crate) fn new(database: Probe, others: &[Probe], draining: CancellationToken) -> Self {
        let probes = std::iter::once(database).chain(others.iter().cloned()).collect();
        Self { probes, draining }
    }

    /// Asks every part, all at once.
    pub async fn report(&self) -> HealthReport {
        let answers = join_all(self.probes.iter().map(Probe::is_up)).await;
        let all_up = answers.iter().all(|up| *up);
        let parts = self.probes.iter().zip(answers).map(|(probe, up)| {
            (
                probe.name.to_owned(),
                if up { PartStatus::Ok } else { PartStatus::Down },
            )
        });
        HealthReport {
            status: if all_up {
                OverallStatus::Ok
            } else {
                OverallStatus::Degraded
            },
            parts: parts.collect(),
        }
    }

    /// Whether a stop has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Whether requests should be sent here: the database answers and no stop has begun. A broker that is
    /// down does not count: requests go on succeeding without it.
    pub async fn is_ready(&self) -> bool {
        if self.draining.is_cancelled() {
            return false;
        }
        match self.probes.iter().next() {
            Some(database) => database.is_up().await,
            None => true,
        }
    }
}

/// `GET /health`
pub(crate) async fn health(health: web::Data<Health>) -> HttpResponse {
    let mut report = health.report().await;
    if health.is_draining() {
        // whoever chooses between processes shall choose another
        report.status = OverallStatus::Degraded;
    }
    match report.status {
        OverallStatus::Ok => HttpResponse::Ok().json(report),
        OverallStatus::Degraded => HttpResponse::ServiceUnavailable().json(report),
    }
}
