//! Settings of this service besides those every service has.

use std::time::Duration;

use anyhow::ensure;
use messaging::MessagingSettings;
use secrecy::SecretString;
use serde::Deserialize;

/// The service's own sections.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Limits of the messaging kernel.
    #[serde(default)]
    pub messaging: MessagingSettings,
    /// What all deliveries have in common.
    pub deliveries: DeliverySettings,
    /// Webhooks.
    pub webhooks: WebhookSettings,
    /// E-mail.
    pub email: EmailSettings,
    /// The live stream.
    pub stream: StreamSettings,
    /// Keys by which requests are recognised.
    pub idempotency: IdempotencySettings,
}

/// `idempotency.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdempotencySettings {
    /// How long a key is remembered, in seconds.
    pub retention_s: u32,
}

/// `deliveries.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverySettings {
    /// How often deliveries whose wait is over are looked for, in milliseconds.
    pub poll_ms: u32,
    /// Of those, so many at a time.
    pub batch_max: u16,
    /// Settled ones are forgotten after so many days.
    pub retention_days: u16,
}

/// `webhooks.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Webhooks of one user at most.
    pub max_per_user: u16,
    /// Whether http is called besides https.
    pub allow_insecure: bool,
    /// Whether addresses are called that are not public.
    pub allow_private_addresses: bool,
    /// A PEM file with certificate authorities to trust besides the machine's; empty for none.
    pub ca_file: String,
    /// How long one call may take, in milliseconds.
    pub timeout_ms: u32,
    /// Waits between the attempts of a delivery, in milliseconds; as many attempts more as there are waits.
    pub retry_delays_ms: Vec<u32>,
    /// A receiver that says when to come again (`Retry-After`) is asked no sooner than this, in milliseconds …
    pub retry_after_min_ms: u32,
    /// … and no later.
    pub retry_after_max_ms: u32,
    /// Calls at the same time.
    pub in_flight: u16,
    /// Calls to one webhook at the same time.
    pub in_flight_per_webhook: u16,
    /// How long a delivery waits that finds no room, in milliseconds.
    pub busy_wait_ms: u32,
    /// So much of an answer is read, in bytes.
    pub answer_max_bytes: u32,
    /// So much of it is kept, in characters.
    pub excerpt_max_chars: u16,
    /// So many deliveries given up one after the other disable their webhook.
    pub disable_after: u16,
    /// How long a rotated secret goes on signing, in seconds.
    pub rotation_overlap_s: u32,
}

/// `email.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// The SMTP server; empty for no e-mail.
    pub host: String,
    /// Its port; 0 for what is usual.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
    /// Name to authenticate with; empty for none.
    pub username: String,
    /// Password to authenticate with.
    pub password: SecretString,
    /// Who writes, as in a `From` header.
    pub from: String,
    /// A PEM file with a certificate authority to trust besides the machine's; empty for none.
    pub ca_file: String,
    /// Connections at most.
    pub connections_max: u16,
    /// How long one step of the dialogue may take, in milliseconds.
    pub timeout_ms: u32,
    /// How long a mail waits after a server that is down or says "later", in milliseconds.
    pub retry_wait_ms: u32,
    /// A mail that a server is down for, or says "later" to, for that long is given up, in seconds.
    pub give_up_after_s: u32,
    /// How long a mail waits for its user's address to become known, in seconds.
    pub address_wait_s: u32,
}

/// How the connection to the SMTP server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// In the clear first, and not a word more before TLS.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None.
    None,
}

/// `stream.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSettings {
    /// How often the database is asked for news, in milliseconds.
    pub poll_ms: u32,
    /// How often a stream shows that it is alive, in seconds.
    pub heartbeat_s: u32,
    /// Streams of one user at the same time.
    pub per_user_max: u16,
    /// Streams of all users at the same time.
    pub per_process_max: u16,
    /// How long whoever finds no place waits for one, in milliseconds.
    pub place_wait_ms: u32,
}

impl Settings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// The text names the setting.
    pub fn validate(&self) -> anyhow::Result<()> {
        let lease_ms = self.messaging.action_lease_ms;
        let within_lease = |ms: u32| ms > 0 && u64::from(ms) <= lease_ms / 2;
        ensure!(
            within_lease(self.webhooks.timeout_ms),
            "webhooks.timeout_ms must be at least 1 and at most half of messaging.action_lease_ms ({lease_ms})"
        );
        ensure!(
            within_lease(self.email.timeout_ms),
            "email.timeout_ms must be at least 1 and at most half of messaging.action_lease_ms ({lease_ms})"
        );
        let at_least_1 = [
            ("webhooks.in_flight", self.webhooks.in_flight),
            (
                "webhooks.in_flight_per_webhook",
                self.webhooks.in_flight_per_webhook,
            ),
            ("webhooks.disable_after", self.webhooks.disable_after),
            ("email.connections_max", self.email.connections_max),
            ("deliveries.batch_max", self.deliveries.batch_max),
            ("deliveries.retention_days", self.deliveries.retention_days),
        ];
        for (key, value) in at_least_1 {
            ensure!(value > 0, "{key} must be at least 1");
        }
        ensure!(
            self.webhooks.max_per_user <= 100,
            "webhooks.max_per_user must be at most 100"
        );
        Ok(())
    }
}

impl EmailSettings {
    /// Whether e-mail is sent at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.host.is_empty()
    }

    /// The server's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match (self.port, self.security) {
            (0, Security::Starttls) => 587,
            (0, Security::Tls) => 465,
            (0, Security::None) => 25,
            (port, _) => port,
        }
    }
}

impl WebhookSettings {
    /// The wait after a failed attempt that was the number `tries` (from 0) since the delivery was asked for; none
    /// when it is given up.
    #[must_use]
    pub fn retry_delay(&self, tries: u32) -> Option<Duration> {
        let delay = self.retry_delays_ms.get(usize::try_from(tries).ok()?)?;
        Some(Duration::from_millis((*delay).into()))
    }

    /// How long a receiver is left alone that asks for so much.
    #[must_use]
    pub fn retry_after(&self, asked: Duration) -> Duration {
        let bound = |ms: u32| Duration::from_millis(ms.into());
        let (least, most) = (bound(self.retry_after_min_ms), bound(self.retry_after_max_ms));
        asked.max(least).min(most)
    }

    /// How long one call may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}
