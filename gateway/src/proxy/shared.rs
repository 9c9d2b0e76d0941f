//! What all workers share of the way to the services.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ProxyError;
use super::endpoints::Endpoints;
use crate::config::{ProxySettings, UpstreamSettings};
use crate::domain::routing::Upstream;
use crate::metrics::GatewayMetrics;

/// What all workers share.
#[derive(Debug)]
pub struct ProxyConfig {
    /// Where the services answer, and how they do.
    services: [Arc<Endpoints>; Upstream::ALL.len()],
    /// Timeouts and limits.
    pub settings: ProxySettings,
    /// Largest body of an ordinary request, in bytes.
    pub body_limit_bytes: u64,
    /// Cancelled when the process begins to stop: event streams end on it.
    pub draining: CancellationToken,
}

impl ProxyConfig {
    /// Every service's endpoints, each thought well of.
    #[must_use]
    pub fn new(
        upstreams: &UpstreamSettings,
        settings: ProxySettings,
        body_limit_bytes: u64,
        draining: CancellationToken,
        metrics: &GatewayMetrics,
    ) -> Self {
        let endpoints = |upstream: Upstream| {
            Arc::new(Endpoints::new(
                upstream,
                upstreams.of(upstream),
                &settings,
                metrics.clone(),
            ))
        };
        Self {
            services: Upstream::ALL.map(endpoints),
            settings,
            body_limit_bytes,
            draining,
        }
    }

    /// Every service's endpoints.
    pub(crate) const fn services(&self) -> &[Arc<Endpoints>; Upstream::ALL.len()] {
        &self.services
    }

    pub(crate) fn service(&self, upstream: Upstream) -> Result<&Endpoints, ProxyError> {
        let found = self
            .services
            .iter()
            .find(|service| service.upstream() == upstream);
        found.map(AsRef::as_ref).ok_or(ProxyError::NoPath)
    }
}
