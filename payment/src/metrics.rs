//! What the service counts besides its messages.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::domain::DisputeStatus;

/// The counters. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct PaymentMetrics {
    disputes: Family<StatusLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

impl PaymentMetrics {
    /// Registers them; each status is there from the start, at 0.
    pub(crate) fn register(&self, registry: &mut Registry) {
        for status in DisputeStatus::ALL {
            drop(self.of(status));
        }
        registry.register(
            "payment_disputes",
            "Disputes that have come to a status",
            self.disputes.clone(),
        );
    }

    /// Counts a dispute that has come to a status.
    pub(crate) fn disputes(&self, status: DisputeStatus) {
        self.of(status).inc();
    }

    fn of(&self, status: DisputeStatus) -> impl std::ops::Deref<Target = Counter> + '_ {
        let status = status.as_str();
        self.disputes.get_or_create(&StatusLabel { status })
    }
}
