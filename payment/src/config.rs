//! Settings of this service besides those every service has.

use std::time::Duration;

use anyhow::ensure;
use messaging::MessagingSettings;
use serde::Deserialize;

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
    /// How long the provider may take to answer.
    ///
    /// # Errors
    /// When it may take no time at all, or so long that the kernel would not wait for the answer.
    pub fn patience(&self) -> anyhow::Result<Duration> {
        let (timeout_ms, lease_ms) = (self.provider.timeout_ms, self.messaging.action_lease_ms);
        ensure!(timeout_ms > 0, "provider.timeout_ms must be at least 1");
        ensure!(
            timeout_ms <= lease_ms / 2,
            "provider.timeout_ms must be at most half of messaging.action_lease_ms ({lease_ms})"
        );
        Ok(Duration::from_millis(timeout_ms))
    }
}

/// `provider.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// How long the provider may take to answer, in milliseconds; then its answer is unknown.
    /// At most half of what an action may take.
    pub timeout_ms: u64,
}

/// `simulator.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorSettings {
    /// How late `pm_provider_slow` answers, in milliseconds.
    pub slow_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_waited_for_but_not_longer_than_the_kernel_waits() {
        let patience = |timeout_ms| {
            let settings = Settings {
                messaging: MessagingSettings::default(),
                provider: ProviderSettings { timeout_ms },
                simulator: SimulatorSettings { slow_ms: 0 },
            };
            settings.patience().ok()
        };
        assert_eq!(patience(5_000), Some(Duration::from_secs(5)));
        assert_eq!(patience(30_000), Some(Duration::from_secs(30)));
        assert_eq!(
            (patience(0), patience(30_001), patience(u64::MAX)),
            (None, None, None)
        );
    }
}
