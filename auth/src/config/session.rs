//! `session.*`

use chrono::TimeDelta;
use serde::Deserialize;

/// How long logins live, in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// Life of an access token.
    pub access_ttl_s: u32,
    /// Life of a refresh token.
    pub refresh_ttl_s: u32,
    /// How long whoever repeats a refresh gets the same answer again.
    pub retry_grace_s: u32,
    /// How long sessions are kept after their end.
    pub retention_s: u32,
    /// How often ended sessions are swept.
    pub sweep_interval_s: u32,
}

impl SessionSettings {
    /// Life of an access token.
    #[must_use]
    pub fn access_ttl(&self) -> TimeDelta {
        TimeDelta::seconds(self.access_ttl_s.into())
    }

    /// Life of a refresh token.
    #[must_use]
    pub fn refresh_ttl(&self) -> TimeDelta {
        TimeDelta::seconds(self.refresh_ttl_s.into())
    }

    /// How long whoever repeats a refresh gets the same answer again.
    #[must_use]
    pub fn retry_grace(&self) -> TimeDelta {
        TimeDelta::seconds(self.retry_grace_s.into())
    }

    /// How long sessions are kept after their end.
    #[must_use]
    pub fn retention(&self) -> TimeDelta {
        TimeDelta::seconds(self.retention_s.into())
    }
}
