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
    /// How long one action at the provider may take, with all that it asks.
    ///
    /// # Errors
    /// When it may take no time at all, or so long that the kernel would not wait for the answer, or when the way to
    /// Stripe is not one. The text names the setting.
    pub fn patience(&self) -> anyhow::Result<Duration> {
        let (timeout_ms, lease_ms) = (self.provider.timeout_ms, self.messaging.action_lease_ms);
        ensure!(timeout_ms > 0, "provider.timeout_ms must be at least 1");
        ensure!(
            timeout_ms <= lease_ms / 2,
            "provider.timeout_ms must be at most half of messaging.action_lease_ms ({lease_ms})"
        );
        let simulated = Duration::from_millis(timeout_ms);
        if !self.has_stripe() {
            ensure!(
                self.provider.kind != Provider::Stripe,
                "provider.stripe.secret_key is required when provider.kind is stripe"
            );
            return Ok(simulated);
        }
        let stripe = &self.provider.stripe;
        stripe.validate()?;
        let patience = stripe.patience();
        ensure!(
            patience <= Duration::from_millis(lease_ms) / 2,
            "provider.stripe.timeout_ms must be at most an eighth of messaging.action_lease_ms ({lease_ms})"
        );
        Ok(patience.max(simulated))
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
    /// The way to Stripe.
    pub stripe: StripeSettings,
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
