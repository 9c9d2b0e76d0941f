//! The endpoints of a service, and which one is asked next. Shared by all workers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::uri::Authority;
use tokio::time::Instant;

use super::breaker::{Admission, Breaker, BreakerRules};
use super::budget::RetryBudget;
use super::outlier::Outlier;
use crate::config::{ProxySettings, UpstreamUrls};
use crate::domain::routing::Upstream;
use crate::metrics::GatewayMetrics;

/// One service.
#[derive(Debug)]
pub(crate) struct Endpoints {
    upstream: Upstream,
    all: Vec<Arc<Endpoint>>,
    turn: AtomicUsize,
    pub(super) budget: RetryBudget,
    metrics: GatewayMetrics,
}

/// One process of a service.
#[derive(Debug)]
pub(crate) struct Endpoint {
    authority: Authority,
    breaker: Mutex<Breaker>,
    outlier: Mutex<Outlier>,
    /// What the health checks found; without checks, healthy.
    unhealthy: AtomicBool,
}

/// One request's use of an endpoint. Dropped without an outcome, it tells the breaker that there was none.
pub(super) struct Lease<'a> {
    service: &'a Endpoints,
    endpoint: Arc<Endpoint>,
    is_trial: bool,
}

impl Endpoints {
    pub(super) fn new(
        upstream: Upstream,
        urls: &UpstreamUrls,
        settings: &ProxySettings,
        metrics: GatewayMetrics,
    ) -> Self {
        let rules = BreakerRules {
            failures: settings.breaker_failures.get(),
            open: settings.breaker_open(),
            open_max: settings.breaker_open_max(),
            trial: settings.total_timeout(),
        };
        let endpoint = |authority: &Authority| {
            Arc::new(Endpoint {
                authority: authority.clone(),
                breaker: Mutex::new(Breaker::new(rules)),
                outlier: Mutex::new(Outlier::new(rules.failures, rules.open)),
                unhealthy: AtomicBool::new(false),
            })
        };
        Self {
            upstream,
            all: urls.authorities().map(endpoint).collect(),
            turn: AtomicUsize::new(0),
            budget: RetryBudget::new(settings.retry_budget_percent),
            metrics,
        }
    }

    /// The service.
    pub(crate) const fn upstream(&self) -> Upstream {
        self.upstream
    }

    /// Every endpoint.
    pub(crate) fn all(&self) -> &[Arc<Endpoint>] {
        &self.all
    }

    /// Whether health checks can change anything: there is a choice, or somebody to be taken back.
    pub(crate) fn wants_checks(&self) -> bool {
        self.all.len() > 1 || self.all.iter().any(|endpoint| !endpoint.breaker().is_closed())
    }

    /// The next endpoint in turn: a healthy one that was not `tried` and answers without errors if there is one, else any
    /// whose breaker lets one pass. Where checks find nobody healthy, it is rather the checks that are wrong.
    ///
    /// # Errors
    /// How long until a breaker lets one pass.
    pub(super) fn pick(&self, tried: &[Authority]) -> Result<Lease<'_>, Duration> {
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<_> = self.all.iter().collect();
        let places = order.len().max(1);
        order.rotate_left(turn.checked_rem(places).unwrap_or(0));
        order.sort_by_key(|endpoint| {
            (
                tried.contains(&endpoint.authority),
                endpoint.unhealthy.load(Ordering::Relaxed),
                endpoint.outlier().is_out(now),
            )
        });
        let mut shortest: Option<Duration> = None;
        for endpoint in order {
            let is_trial = match endpoint.breaker().admit(now) {
                Admission::Pass => false,
                Admission::Trial => true,
                Admission::Wait(wait) => {
                    shortest = Some(shortest.map_or(wait, |known| known.min(wait)));
                    continue;
                }
            };
            return Ok(Lease {
                service: self,
                endpoint: endpoint.clone(),
                is_trial,
            });
        }
        Err(shortest.unwrap_or_default())
    }

    /// An endpoint to be asked about its health, whatever its breaker says.
    pub(crate) fn any(&self) -> Option<&Authority> {
        let healthy = self
            .all
            .iter()
            .find(|endpoint| !endpoint.unhealthy.load(Ordering::Relaxed) && endpoint.breaker().is_closed());
        healthy.or(self.all.first()).map(|endpoint| &endpoint.authority)
    }

    pub(super) fn count_retry(&self) {
        self.metrics.retried(self.upstream);
    }
}

impl Endpoint {
    /// Host and port.
    pub(crate) const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What a health check found. An endpoint that is there again need not wait for a trial; one that was there all the
    /// time, and failed nevertheless, must.
    pub(crate) fn checked(&self, is_healthy: bool) {
        let changed = self.unhealthy.swap(!is_healthy, Ordering::Relaxed) == is_healthy;
        if changed && is_healthy {
            self.breaker().succeeded();
        }
        if changed {
            tracing::info!(
                server.address = self.authority.as_str(),
                healthy = is_healthy,
                "endpoint changed its health"
            );
        }
    }

    /// A panic cannot leave a breaker half changed: no code of others runs while it is.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outlier(&self) -> MutexGuard<'_, Outlier> {
        self.outlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    pub(super) fn authority(&self) -> &Authority {
        &self.endpoint.authority
    }

    /// The endpoint answered. An error is an answer: it is there, and others may do better.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.is_trial = false;
        self.endpoint.breaker().succeeded();
        if self.endpoint.outlier().answered(status, Instant::now()) && self.service.all.len() > 1 {
            self.tell_ejected("others are asked before this endpoint for a while: it answered with errors several times in a row");
        }
    }

    /// The endpoint failed.
    pub(super) fn failed(mut self) {
        self.is_trial = false;
        if self.endpoint.breaker().failed(Instant::now()) {
            self.tell_ejected("endpoint is not asked for a while: it failed several times in a row");
        }
    }

    fn tell_ejected(&self, what: &str) {
        let upstream = self.service.upstream;
        self.service.metrics.ejected(upstream);
        tracing::warn!(
            upstream = upstream.name(),
            server.address = self.endpoint.authority.as_str(),
            "{what}"
        );
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            self.endpoint.breaker().abandoned(Instant::now());
        }
    }
}
