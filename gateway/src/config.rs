//! The gateway's own settings, validated while they are read.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use actix_web::http::Uri;
use actix_web::http::uri::Authority;
use chrono::TimeDelta;
use messaging::MessagingSettings;
use serde::Deserialize;
use thiserror::Error;

use crate::domain::routing::Upstream;

/// Everything that only the gateway has to know.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Where the services answer.
    pub upstreams: UpstreamSettings,
    /// How often one address and one user may call.
    pub rate_limit: RateLimitSettings,
    /// Limits of an exchange with a service.
    pub proxy: ProxySettings,
    /// When orders and payments are old enough to be compared, and when they are too old.
    pub reconciliation: ReconciliationSettings,
    /// Limits and waits of the messaging kernel.
    #[serde(default)]
    pub messaging: MessagingSettings,
}

/// Where the services answer.
#[derive(Debug, Clone, Deserialize)]
pub struct UpstreamSettings {
    /// Auth service.
    pub auth: UpstreamUrl,
    /// Order service.
    pub order: UpstreamUrl,
    /// Payment service.
    pub payment: UpstreamUrl,
    /// Notification service.
    pub notification: UpstreamUrl,
}

/// Quotas, each a minute and each also the burst that is allowed.
#[derive(Debug, Clone, Deserialize)]
pub struct RateLimitSettings {
    /// Requests of one address.
    pub per_address_per_minute: NonZeroU32,
    /// Requests of one user.
    pub per_user_per_minute: NonZeroU32,
    /// Attempts to log in or register from one address.
    pub login_per_minute: NonZeroU32,
    /// Addresses, or users, that each limit remembers at once.
    pub max_keys: NonZeroUsize,
}

/// Limits of an exchange with a service.
#[derive(Debug, Clone, Deserialize)]
pub struct ProxySettings {
    connect_timeout_ms: u64,
    response_timeout_ms: u64,
    total_timeout_ms: u64,
    idle_connection_ms: u64,
    connection_lifetime_ms: u64,
    health_timeout_ms: u64,
    /// Largest body of a request that carries credentials, in bytes.
    pub auth_body_limit_bytes: u64,
    /// Connections that one worker holds to all services together.
    pub connections_per_worker: NonZeroUsize,
}

/// When orders and payments are old enough to be compared, and when they are too old.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ReconciliationSettings {
    grace_s: u32,
    deadline_s: u32,
}

impl ReconciliationSettings {
    /// What changed so shortly before is in flight.
    #[must_use]
    pub fn grace(&self) -> TimeDelta {
        TimeDelta::seconds(self.grace_s.into())
    }

    /// How long an order may be pending, or a payment processing or refunding.
    #[must_use]
    pub fn deadline(&self) -> TimeDelta {
        TimeDelta::seconds(self.deadline_s.into())
    }
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

impl UpstreamSettings {
    /// Where one service answers.
    #[must_use]
    pub const fn of(&self, upstream: Upstream) -> &UpstreamUrl {
        match upstream {
            Upstream::Auth => &self.auth,
            Upstream::Order => &self.order,
            Upstream::Payment => &self.payment,
            Upstream::Notification => &self.notification,
        }
    }
}

/// The address of a service: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UpstreamUrl(Authority);

/// Not the address of a service.
#[derive(Debug, Error)]
pub enum UpstreamUrlError {
    /// Not a URL at all.
    #[error("{url:?} is not a URL")]
    Malformed {
        /// What was configured.
        url: String,
        /// What is wrong with it.
        source: actix_web::http::uri::InvalidUri,
    },
    /// A URL, but not of a plain HTTP service at the root of its host.
    #[error("{0:?} is not of the form http://host:port")]
    Unsupported(String),
}

impl UpstreamUrl {
    /// The host and port.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.0
    }

    /// The URL of `path_and_query` at this service.
    #[must_use]
    pub fn join(&self, path_and_query: &str) -> String {
        format!("http://{}{path_and_query}", self.0)
    }
}

impl TryFrom<String> for UpstreamUrl {
    type Error = UpstreamUrlError;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        let uri: Uri = match url.parse() {
            Ok(uri) => uri,
            Err(source) => return Err(UpstreamUrlError::Malformed { url, source }),
        };
        match uri.authority() {
            Some(authority)
                if uri.scheme_str() == Some("http")
                    && matches!(uri.path(), "" | "/")
                    && uri.query().is_none()
                    && !authority.as_str().contains('@') =>
            {
                Ok(Self(authority.clone()))
            }
            _ => Err(UpstreamUrlError::Unsupported(url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<UpstreamUrl, UpstreamUrlError> {
        url.to_owned().try_into()
    }

    #[test]
    fn a_service_is_a_host_and_a_port() {
        assert_eq!(
            parse("http://order:5002/").unwrap().join("/orders?a=1"),
            "http://order:5002/orders?a=1"
        );
        assert_eq!(
            parse("http://[::1]:5002").unwrap().authority().as_str(),
            "[::1]:5002"
        );
    }

    #[test]
    fn anything_else_is_refused_at_start() {
        for url in [
            "",
            "order:5002",
            "https://order:5002",
            "http://order/v1",
            "http://a:b@order",
            "http://order?x",
            "http://",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
