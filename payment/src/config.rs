//! Settings of this service besides those every service has.

use std::time::Duration;

use anyhow::ensure;
use messaging::MessagingSettings;
use serde::Deserialize;

mod stripe;

pub(crate) use stripe::StripeSettings;

use crate::domain::Provider;

/// The service's own sections.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Limits of the messaging kernel.
    #[serde(default)]
    pub messaging: MessagingSettings,
    /// How the provider is called.
    pub provider: ProviderSettings,
    /// The simulated provider.
    pub simulator: SimulatorSettings,
}

impl Settings {
    /// # Errors
    /// When an action at the provider may take no time at all, or so long that the kernel would not wait for the answer,
    /// or when the way to Stripe is not one. The text names the setting.
    pub fn validate(&self) -> anyhow::Result<()> {
        let (provider, lease_ms) = (&self.provider, self.messaging.action_lease_ms);
        for (what, ms, share, part) in [
            ("timeout_ms", provider.timeout_ms, 2, "half"),
            ("books_timeout_ms", provider.books_timeout_ms, 8, "an eighth"),
        ] {
            ensure!(ms > 0, "provider.{what} must be at least 1");
            ensure!(
                ms <= lease_ms / share,
                "provider.{what} must be at most {part} of messaging.action_lease_ms ({lease_ms})"
            );
        }
        if !self.has_stripe() {
            ensure!(
                self.provider.kind != Provider::Stripe,
                "provider.stripe.secret_key is required when provider.kind is stripe"
            );
            return Ok(());
        }
        let stripe = &self.provider.stripe;
        stripe.validate()?;
        ensure!(
            stripe.patience() <= Duration::from_millis(lease_ms) / 2,
            "provider.stripe.timeout_ms must be at most an eighth of messaging.action_lease_ms ({lease_ms})"
        );
        Ok(())
    }

    /// Whether there is a way to Stripe: also when new payments go elsewhere, those that began there end there.
    #[must_use]
    pub fn has_stripe(&self) -> bool {
        self.provider.stripe.has_key()
    }
}

/// `provider.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Who new payments go through.
    pub kind: Provider,
    /// How long the simulated provider may take to answer, in milliseconds; then its answer is unknown.
    /// At most half of what an action may take.
    pub timeout_ms: u64,
    /// How long one entry in a provider's own books (this service's database) may take, in milliseconds; then the
    /// database is taken for down, and no attempt is counted. At most an eighth of what an action may take.
    pub books_timeout_ms: u64,
    /// The way to Stripe.
    pub stripe: StripeSettings,
}

impl ProviderSettings {
    /// How long the simulated provider may take to answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long one entry in a provider's books may take.
    #[must_use]
    pub fn books_timeout(&self) -> Duration {
        Duration::from_millis(self.books_timeout_ms)
    }
}

/// `simulator.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorSettings {
    /// How late `pm_provider_slow` answers, in milliseconds.
    pub slow_ms: u64,
}

#[cfg(test)]
mod tests;
