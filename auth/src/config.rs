//! The settings of the auth service.

use std::time::Duration;

use chrono::TimeDelta;
use messaging::MessagingSettings;
use serde::Deserialize;

/// The service's own sections.
#[derive(Debug, Clone, Deserialize)]
pub struct AuthSettings {
    /// How passwords are hashed.
    pub password: PasswordSettings,
    /// How long logins live.
    pub session: SessionSettings,
    /// The messaging kernel's limits.
    #[serde(default)]
    pub messaging: MessagingSettings,
}

/// `password.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordSettings {
    /// argon2id memory, in KiB.
    pub memory_kib: u32,
    /// argon2id passes.
    pub iterations: u32,
    /// argon2id lanes.
    pub parallelism: u32,
    /// Hashes at the same time; 0 is one for each core.
    pub threads: usize,
    /// Hashes that may wait for a thread.
    pub queue_max: usize,
    /// How long one may wait, in milliseconds.
    pub wait_ms: u64,
}

impl PasswordSettings {
    /// How long a hash may wait for a thread.
    #[must_use]
    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }
}

/// `session.*`, in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// Life of an access token.
    pub access_ttl_s: u32,
    /// Life of a refresh token.
    pub refresh_ttl_s: u32,
    /// How long a spent refresh token may be sent again by a client that missed the answer.
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

    /// How long a spent refresh token may be sent again.
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
