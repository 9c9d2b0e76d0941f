//! `provider.stripe.*`

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hyper::Uri;
use hyper::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Requests that one action makes at most: asking, and looking up what became of it.
const REQUESTS_AN_ACTION: u32 = 4;

/// The way to Stripe, and back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeSettings {
    /// Where Stripe's interface is; `https`, or `http` on this machine and with a test key.
    pub base_url: String,
    /// The account's secret key, or a restricted one that may write payment intents and refunds. Empty: no Stripe.
    pub secret_key: SecretString,
    /// The webhook endpoint's signing secret (`whsec_…`). Empty: webhooks are not there.
    pub webhook_secret: SecretString,
    /// The version of Stripe's interface that this code speaks; a webhook endpoint is best made with the same.
    pub api_version: String,
    /// How long one request may take, with the wait for a connection to be free, in milliseconds. An action makes up to
    /// four.
    pub timeout_ms: u64,
    /// How long a connection may take to come about, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Requests at a time, each on a connection of its own.
    pub connections_max: usize,
    /// Connections that are kept open while there is nothing to ask …
    pub idle_connections_max: usize,
    /// … and how long, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How old the signature of a webhook may be, in seconds; as much it may be ahead of this machine's clock.
    pub webhook_tolerance_s: u64,
    /// Longest webhook, in bytes.
    pub webhook_body_limit_bytes: usize,
    /// How long received webhook events are remembered, in days. Longer than Stripe sends one again.
    pub webhook_retention_days: u32,
}

impl StripeSettings {
    pub(super) fn has_key(&self) -> bool {
        !self.secret_key.expose_secret().is_empty()
    }

    /// How long one request may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long an action may wait for Stripe.
    #[must_use]
    pub(super) fn patience(&self) -> Duration {
        self.timeout().saturating_mul(REQUESTS_AN_ACTION)
    }

    /// How long received events are remembered.
    #[must_use]
    pub fn webhook_retention(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::days(i64::from(self.webhook_retention_days))
    }

    /// # Errors
    /// When a setting makes no sense; the text names it, and shows no secret.
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        let base: Uri = self
            .base_url
            .parse()
            .context("provider.stripe.base_url is not a URL")?;
        let live = ["sk_live", "rk_live"]
            .iter()
            .any(|live| self.secret_key.expose_secret().starts_with(live));
        let fits = match (base.scheme_str(), base.host()) {
            (Some("https"), Some(_)) => true,
            (Some("http"), Some(host)) => !live && is_near(host),
            _ => false,
        };
        ensure!(
            fits,
            "provider.stripe.base_url must be https; http only on this machine and never with a live key"
        );
        ensure!(
            matches!(base.path(), "" | "/") && base.query().is_none(),
            "provider.stripe.base_url must have no path"
        );
        ensure!(
            is_header(self.secret_key.expose_secret()),
            "provider.stripe.secret_key has characters that no key has"
        );
        ensure!(
            is_header(&self.api_version),
            "provider.stripe.api_version is not one"
        );
        for (what, is) in [
            ("timeout_ms", self.timeout_ms > 0),
            ("connect_timeout_ms", self.connect_timeout_ms > 0),
            ("connections_max", self.connections_max > 0),
            ("webhook_tolerance_s", self.webhook_tolerance_s > 0),
            ("webhook_body_limit_bytes", self.webhook_body_limit_bytes > 0),
            ("webhook_retention_days", self.webhook_retention_days > 0),
        ] {
            ensure!(is, "provider.stripe.{what} must be at least 1");
        }
        Ok(())
    }
}

fn is_header(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace) && HeaderValue::from_str(text).is_ok()
}

fn is_near(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
