//! Who a payment goes through.

use serde::{Deserialize, Serialize};

/// A payment provider, by name. A payment stays with the one it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The one for trying things out.
    Simulated,
    /// Stripe.
    Stripe,
}

impl Provider {
    /// Its name, in rows and facts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Stripe => "stripe",
        }
    }

    /// The provider of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Simulated, Self::Stripe]
            .into_iter()
            .find(|provider| provider.as_str() == name)
    }
}
