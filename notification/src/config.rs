//! Settings of this service besides those every service has.

use messaging::MessagingSettings;
use serde::Deserialize;

/// The service's own sections.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Limits of the messaging kernel.
    #[serde(default)]
    pub messaging: MessagingSettings,
}
