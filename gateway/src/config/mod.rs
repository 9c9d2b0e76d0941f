//! The gateway's own settings, validated while they are read.

mod proxy;
mod upstreams;

pub use proxy::ProxySettings;
pub use upstreams::{UpstreamSettings, UpstreamUrl, UpstreamUrlError, UpstreamUrls};

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use actix_web::http::Uri;
use actix_web::http::uri::Authority;
use chrono::TimeDelta;
use messaging::MessagingSettings;
use serde::Deserialize;

use crate::domain::client_address::Networks;

/// Everything that only the gateway has to know.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Where the services answer.
    pub upstreams: UpstreamSettings,
    /// Whom the gateway believes, and what it tells browsers.
    pub edge: EdgeSettings,
    /// How often one address and one user may call.
    pub rate_limit: RateLimitSettings,
    /// Limits of an exchange with a service.
    pub proxy: ProxySettings,
    /// How logins that ended become known.
    pub revocations: RevocationSettings,
    /// When orders and payments are old enough to be compared, and when they are too old.
    pub reconciliation: ReconciliationSettings,
    /// Limits and waits of the messaging kernel.
    #[serde(default)]
    pub messaging: MessagingSettings,
}

/// Whom the gateway believes, and what it tells browsers.
#[derive(Debug, Clone, Deserialize)]
pub struct EdgeSettings {
    /// Proxies before the gateway, whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
    pub trusted_proxies: Networks,
    /// Origins whose pages may call; none by default.
    pub cors_origins: Vec<Origin>,
    /// How long browsers remember what a preflight request said, in seconds.
    pub cors_max_age_s: u32,
    /// Longest head of a request, in bytes as HTTP/2 counts them.
    pub header_list_bytes_max: usize,
    /// Headers of a request at most.
    pub headers_max: usize,
    /// How long browsers use nothing but HTTPS, in seconds; 0 for no word about it.
    pub hsts_max_age_s: u32,
}

/// The origin of a page as browsers name it: `https://shop.example`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

impl Origin {
    /// As browsers name it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_origin = text.parse::<Uri>().is_ok_and(|uri| {
            let scheme = uri.scheme_str();
            let authority = uri.authority().map(Authority::as_str);
            matches!(scheme, Some("http" | "https"))
                && scheme
                    .zip(authority)
                    .map(|(scheme, host)| format!("{scheme}://{host}"))
                    == Some(text.clone())
        });
        if is_origin && !text.contains(['@', '*']) {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is not of the form https://host"))
        }
    }
}

/// Quotas, each a minute and each also the burst that is allowed.
#[derive(Debug, Clone, Deserialize)]
pub struct RateLimitSettings {
    /// Requests of one address.
    pub per_address_per_minute: NonZeroU32,
    /// Requests of one user.
    pub per_user_per_minute: NonZeroU32,
    /// Requests of one admin; as of every user when unset.
    pub per_admin_per_minute: Option<NonZeroU32>,
    /// Attempts to log in or register from one address.
    pub login_per_minute: NonZeroU32,
    /// Addresses, or users, that each limit remembers at once.
    pub max_keys: NonZeroUsize,
    /// How often those whose quota is whole again are forgotten, in seconds.
    pub clean_s: NonZeroU32,
    /// Addresses that are not counted as such: the operator's own load drivers and probes. Their users are.
    pub exempt_networks: Networks,
}

impl RateLimitSettings {
    /// How often those whose quota is whole again are forgotten.
    #[must_use]
    pub fn clean(&self) -> Duration {
        Duration::from_secs(self.clean_s.get().into())
    }
}

/// How logins that ended become known to this instance.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RevocationSettings {
    start_wait_ms: u32,
    poll_ms: NonZeroU32,
    sweep_s: NonZeroU32,
    /// Ended logins remembered at once.
    pub max_entries: NonZeroUsize,
}

impl RevocationSettings {
    /// How long a start waits for the topic to be read.
    #[must_use]
    pub fn start_wait(&self) -> Duration {
        Duration::from_millis(self.start_wait_ms.into())
    }

    /// How often the database is asked for new ones.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.get().into())
    }

    /// How often those that matter no more are deleted.
    #[must_use]
    pub fn sweep(&self) -> Duration {
        Duration::from_secs(self.sweep_s.get().into())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for good in ["https://shop.example", "http://localhost:3000"] {
            assert_eq!(Origin::try_from(good.to_owned()).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "*",
            "null",
            "shop.example",
            "https://shop.example/",
            "https://*.example",
            "ftp://a",
        ] {
            assert!(Origin::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
