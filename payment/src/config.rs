//! Settings of this service besides those every service has.

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

/// `provider.*`
#[derive(Debug, Clone, Deserialize)]
pub struct ProviderSettings {
    /// How long the provider may take to answer, in milliseconds; then its answer is unknown.
    pub timeout_ms: u64,
}

/// `simulator.*`
#[derive(Debug, Clone, Deserialize)]
pub struct SimulatorSettings {
    /// How late `pm_provider_slow` answers, in milliseconds.
    pub slow_ms: u64,
}
