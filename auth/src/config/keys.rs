//! `keys.*`

use std::time::Duration;

use chassis::settings::TokenSettings;
use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Deserialize;

/// How the keys that sign access tokens are sealed and follow each other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// The key-encryption key: 32 random bytes in base64.
    pub encryption_secret: SecretString,
    /// The key-encryption key before, or nothing: what it sealed still opens, until `auth keys reseal`.
    pub previous_encryption_secret: SecretString,
    /// How long a new key is published before it signs, in seconds.
    pub lead_s: u32,
    /// How long an old key stays published after its last token has expired, in seconds.
    pub leeway_s: u32,
    /// How often each replica looks for new keys, in seconds.
    pub reload_interval_s: u32,
    /// How long others may cache the published keys, in seconds.
    pub jwks_max_age_s: u32,
}

impl KeySettings {
    /// How long a new key is published before it signs.
    #[must_use]
    pub fn lead(&self) -> TimeDelta {
        TimeDelta::seconds(self.lead_s.into())
    }

    /// How long an old key stays published after its last token has expired.
    #[must_use]
    pub fn leeway(&self) -> TimeDelta {
        TimeDelta::seconds(self.leeway_s.into())
    }

    /// How often each replica looks for new keys.
    #[must_use]
    pub fn reload_interval(&self) -> Duration {
        Duration::from_secs(self.reload_interval_s.max(1).into())
    }

    /// After how long a published key is known wherever tokens are verified, in seconds.
    pub(super) fn seen_after_s(&self, token: &TokenSettings) -> u32 {
        let refresh = u32::try_from(token.jwks_refresh_s).unwrap_or(u32::MAX);
        self.jwks_max_age_s
            .saturating_add(refresh)
            .saturating_add(self.reload_interval_s)
    }
}
