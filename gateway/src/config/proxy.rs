//! `proxy.*`: limits of an exchange with a service.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

/// Limits of an exchange with a service.
#[derive(Debug, Clone, Deserialize)]
pub struct ProxySettings {
    connect_timeout_ms: u64,
    response_timeout_ms: u64,
    total_timeout_ms: u64,
    body_idle_timeout_ms: u64,
    stream_idle_timeout_ms: u64,
    breaker_open_ms: u64,
    breaker_open_max_ms: u64,
    check_interval_ms: u64,
    check_timeout_ms: u64,
    idle_connection_ms: u64,
    connection_lifetime_ms: u64,
    health_timeout_ms: u64,
    /// How often a request is made again at most.
    pub retries_max: usize,
    /// How many of a hundred requests may be made again.
    pub retry_budget_percent: u32,
    /// How much of a body is kept for another attempt, in bytes.
    pub replay_buffer_bytes: u64,
    /// Failures in a row after which an endpoint is left alone.
    pub breaker_failures: NonZeroU32,
    /// Failed health checks in a row after which an endpoint is unhealthy.
    pub check_failures: NonZeroU32,
    /// Largest body of a request that carries credentials, in bytes.
    pub auth_body_limit_bytes: u64,
    /// Requests of one class of routes that one worker has under way to one service.
    pub exchanges_per_worker: NonZeroUsize,
    /// Event streams that one worker passes on from one service, besides.
    pub streams_per_worker: NonZeroUsize,
}

impl ProxySettings {
    /// For a connection to be made.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// From the end of the request to the head of the response.
    #[must_use]
    pub const fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    /// For the whole exchange, but for event streams.
    #[must_use]
    pub const fn total_timeout(&self) -> Duration {
        Duration::from_millis(self.total_timeout_ms)
    }

    /// How long one side may be silent within a body.
    #[must_use]
    pub const fn body_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.body_idle_timeout_ms)
    }

    /// How long a service may be silent within an event stream.
    #[must_use]
    pub const fn stream_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.stream_idle_timeout_ms)
    }

    /// How long an endpoint is left alone the first time.
    #[must_use]
    pub const fn breaker_open(&self) -> Duration {
        Duration::from_millis(self.breaker_open_ms)
    }

    /// How long at most.
    #[must_use]
    pub const fn breaker_open_max(&self) -> Duration {
        Duration::from_millis(self.breaker_open_max_ms)
    }

    /// How often endpoints are asked about their health; `None` for never.
    #[must_use]
    pub fn check_interval(&self) -> Option<Duration> {
        (self.check_interval_ms > 0).then(|| Duration::from_millis(self.check_interval_ms))
    }

    /// How long their answer may take.
    #[must_use]
    pub const fn check_timeout(&self) -> Duration {
        Duration::from_millis(self.check_timeout_ms)
    }

    /// How long an unused connection to a service is kept.
    #[must_use]
    pub const fn idle_connection(&self) -> Duration {
        Duration::from_millis(self.idle_connection_ms)
    }

    /// How long a connection to a service is used: replicas that come later get their share.
    #[must_use]
    pub const fn connection_lifetime(&self) -> Duration {
        Duration::from_millis(self.connection_lifetime_ms)
    }

    /// For one service's answer about its health.
    #[must_use]
    pub const fn health_timeout(&self) -> Duration {
        Duration::from_millis(self.health_timeout_ms)
    }
}
