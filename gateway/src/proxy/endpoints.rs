//! The endpoints of a service, and which one is asked next. Shared by all workers.
//!
//! What is learnt from requests (breaker, outlier, turn, budget) is learnt for each class of routes apart; what health
//! checks find is of the endpoint as a whole.

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
use crate::domain::route_class::PerClass;
use crate::domain::routing::{RouteClass, Upstream};
use crate::metrics::GatewayMetrics;

/// One service.
#[derive(Debug)]
pub(crate) struct Endpoints {
    upstream: Upstream,
    all: Vec<Arc<Endpoint>>,
    turns: PerClass<AtomicUsize>,
    budgets: PerClass<RetryBudget>,
    metrics: GatewayMetrics,
}

/// One process of a service.
#[derive(Debug)]
pub(crate) struct Endpoint {
    authority: Authority,
    breakers: PerClass<Mutex<Breaker>>,
    outliers: PerClass<Mutex<Outlier>>,
    /// What the health checks found; without checks, healthy.
    unhealthy: AtomicBool,
}

/// One request's use of an endpoint. Dropped without an outcome, it tells the breaker that there was none.
pub(super) struct Lease<'a> {
    service: &'a Endpoints,
    endpoint: Arc<Endpoint>,
    class: RouteClass,
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
                breakers: PerClass::new(|| Mutex::new(Breaker::new(rules))),
                outliers: PerClass::new(|| Mutex::new(Outlier::new(rules.failures, rules.open))),
                unhealthy: AtomicBool::new(false),
            })
        };
        Self {
            upstream,
            all: urls.authorities().map(endpoint).collect(),
            turns: PerClass::new(|| AtomicUsize::new(0)),
            budgets: PerClass::new(|| RetryBudget::new(settings.retry_budget_percent)),
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
        self.all.len() > 1 || self.all.iter().any(|endpoint| !endpoint.is_asked())
    }

    /// The next endpoint in turn: a healthy one that was not `tried` and answers without errors if there is one, else any
    /// whose breaker lets one pass. Where checks find nobody healthy, it is rather the checks that are wrong.
    ///
    /// # Errors
    /// How long until a breaker lets one pass.
    pub(super) fn pick(&self, class: RouteClass, tried: &[Authority]) -> Result<Lease<'_>, Duration> {
        let now = Instant::now();
        let turn = self.turns.of(class).fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<_> = self.all.iter().collect();
        let places = order.len().max(1);
        order.rotate_left(turn.checked_rem(places).unwrap_or(0));
        order.sort_by_key(|endpoint| {
            (
                tried.contains(&endpoint.authority),
                endpoint.unhealthy.load(Ordering::Relaxed),
                endpoint.outlier(class).is_out(now),
            )
        });
        let mut shortest: Option<Duration> = None;
        for endpoint in order {
            let is_trial = match endpoint.breaker(class).admit(now) {
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
                class,
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
            .find(|endpoint| !endpoint.unhealthy.load(Ordering::Relaxed) && endpoint.is_asked());
        healthy.or(self.all.first()).map(|endpoint| &endpoint.authority)
    }

    /// How many requests of a class may be repeated.
    pub(super) const fn budget(&self, class: RouteClass) -> &RetryBudget {
        self.budgets.of(class)
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
            for class in RouteClass::ALL {
                self.breaker(class).succeeded();
            }
        }
        if changed {
            tracing::info!(
                server.address = self.authority.as_str(),
                healthy = is_healthy,
                "endpoint changed its health"
            );
        }
    }

    /// Whether requests of all classes are let through.
    fn is_asked(&self) -> bool {
        self.breakers.iter().all(|breaker| locked(breaker).is_closed())
    }

    fn breaker(&self, class: RouteClass) -> MutexGuard<'_, Breaker> {
        locked(self.breakers.of(class))
    }

    fn outlier(&self, class: RouteClass) -> MutexGuard<'_, Outlier> {
        locked(self.outliers.of(class))
    }
}

/// A panic cannot leave it half changed: no code of others runs while it is.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lease<'_> {
    pub(super) fn authority(&self) -> &Authority {
        &self.endpoint.authority
    }

    /// The endpoint answered. An error is an answer: it is there, and others may do better.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.is_trial = false;
        self.endpoint.breaker(self.class).succeeded();
        if self.endpoint.outlier(self.class).answered(status, Instant::now()) && self.service.all.len() > 1 {
            self.tell_ejected("others are asked before this endpoint for a while, for routes of this class: it answered with errors several times in a row");
        }
    }

    /// The endpoint failed.
    pub(super) fn failed(mut self) {
        self.is_trial = false;
        if self.endpoint.breaker(self.class).failed(Instant::now()) {
            self.tell_ejected("endpoint is not asked for a while, for routes of this class: it failed several times in a row");
        }
    }

    fn tell_ejected(&self, what: &str) {
        let upstream = self.service.upstream;
        self.service.metrics.ejected(upstream, self.class);
        tracing::warn!(
            upstream = upstream.name(),
            route.class = self.class.name(),
            server.address = self.endpoint.authority.as_str(),
            "{what}"
        );
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            self.endpoint.breaker(self.class).abandoned(Instant::now());
        }
    }
}
