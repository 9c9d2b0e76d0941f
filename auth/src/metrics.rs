//! What the service counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::config::{LOGIN_ACCOUNT, LOGIN_ADDRESS};

/// The counters. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuthMetrics {
    /// argon2 computations, verifications included.
    pub(crate) password_hashes: Counter,
    /// Refresh tokens that came back after they were spent: each is a login in two hands.
    pub(crate) token_reuse: Counter,
    /// Wrong passwords, whether there is such an account or not.
    pub(crate) failed_logins: Counter,
    throttled: Family<PolicyLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabel {
    policy: &'static str,
}

impl AuthMetrics {
    /// Registers them; what is counted by policy is there from the start, at 0.
    pub(crate) fn register(&self, registry: &mut Registry) {
        for policy in [LOGIN_ACCOUNT, LOGIN_ADDRESS] {
            drop(self.throttled.get_or_create(&PolicyLabel { policy }));
        }
        registry.register(
            "password_hash_operations",
            "Password hashes computed, verifications included",
            self.password_hashes.clone(),
        );
        registry.register(
            "refresh_token_reuse",
            "Spent refresh tokens that were used again: the login was ended",
            self.token_reuse.clone(),
        );
        registry.register(
            "failed_logins",
            "Wrong passwords and unknown accounts",
            self.failed_logins.clone(),
        );
        registry.register(
            "throttled_logins",
            "Logins refused without looking at the password",
            self.throttled.clone(),
        );
    }

    /// Counts an attempt that was refused.
    pub(crate) fn throttled(&self, policy: &'static str) {
        self.throttled.get_or_create(&PolicyLabel { policy }).inc();
    }
}
