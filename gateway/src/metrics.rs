//! What the gateway counts besides what every service does.

use chassis::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::domain::routing::{RouteClass, Upstream};
use crate::limits::Limit;

/// Counters of the gateway. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct GatewayMetrics {
    rate_limited: Family<LimitLabels, Counter>,
    revocations: Gauge,
    revocations_unread: Family<SourceLabels, Gauge>,
    retries: Family<UpstreamLabels, Counter>,
    ejections: Family<EjectionLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EjectionLabels {
    upstream: &'static str,
    route_class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

/// Where ended logins are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The table that all instances share.
    Database,
    /// Kafka.
    Topic,
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
        own.begin();
        metrics.register(|registry| {
            registry.register(
                "gateway_rate_limited_requests",
                "Requests turned away because a limit was reached",
                own.rate_limited.clone(),
            );
            registry.register(
                "gateway_revocations",
                "Ended logins whose access tokens have not all expired",
                own.revocations.clone(),
            );
            registry.register(
                "gateway_revocations_unread",
                "1 while ended logins could not be read: from the database at the last look, or from the topic since the start",
                own.revocations_unread.clone(),
            );
            registry.register(
                "gateway_upstream_retries",
                "Requests to a service that were made once more",
                own.retries.clone(),
            );
            registry.register(
                "gateway_upstream_ejections",
                "Endpoints of a service that were left alone for a class of routes because they failed several times in a row",
                own.ejections.clone(),
            );
        });
        own
    }

    /// Whatever is counted by a label is there from the start, at 0.
    fn begin(&self) {
        for limit in Limit::ALL.map(Limit::name) {
            drop(self.rate_limited.get_or_create(&LimitLabels { limit }));
        }
        for source in [Source::Database, Source::Topic] {
            self.revocations_unread(source, false);
        }
        for upstream in Upstream::ALL.map(Upstream::name) {
            drop(self.retries.get_or_create(&UpstreamLabels { upstream }));
            for route_class in RouteClass::ALL.map(RouteClass::name) {
                drop(self.ejections.get_or_create(&EjectionLabels {
                    upstream,
                    route_class,
                }));
            }
        }
    }

    /// How many ended logins this instance knows.
    pub fn revocations(&self, count: usize) {
        self.revocations.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether some ended logins may be unknown because they could not be read.
    pub fn revocations_unread(&self, source: Source, unread: bool) {
        let source = match source {
            Source::Database => "database",
            Source::Topic => "topic",
        };
        self.revocations_unread
            .get_or_create(&SourceLabels { source })
            .set(unread.into());
    }

    /// Counts a request that is made once more.
    pub fn retried(&self, upstream: Upstream) {
        self.retries
            .get_or_create(&UpstreamLabels {
                upstream: upstream.name(),
            })
            .inc();
    }

    /// Counts an endpoint that is left alone for a class of routes.
    pub fn ejected(&self, upstream: Upstream, class: RouteClass) {
        self.ejections
            .get_or_create(&EjectionLabels {
                upstream: upstream.name(),
                route_class: class.name(),
            })
            .inc();
    }

    /// Counts a request that was turned away.
    pub fn rate_limited(&self, limit: Limit) {
        self.rate_limited
            .get_or_create(&LimitLabels { limit: limit.name() })
            .inc();
    }
}
