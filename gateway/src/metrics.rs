//! What the gateway counts besides what every service does.

use chassis::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::limits::Limit;

/// Counters of the gateway. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct GatewayMetrics {
    rate_limited: Family<LimitLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

impl GatewayMetrics {
    /// Counters in the process's registry.
    #[must_use]
    pub fn registered(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            registry.register(
                "gateway_rate_limited_requests",
                "Requests turned away because a limit was reached",
                own.rate_limited.clone(),
            );
        });
        own
    }

    /// Counts a request that was turned away.
    pub fn rate_limited(&self, limit: Limit) {
        self.rate_limited
            .get_or_create(&LimitLabels { limit: limit.name() })
            .inc();
    }
}
