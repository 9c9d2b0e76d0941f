//! `password.*`

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::ensure;
use serde::Deserialize;

use crate::domain::password::Rules;

/// What passwords must be like, and how they are hashed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordSettings {
    /// Fewest characters.
    pub length_min: usize,
    /// Most characters.
    pub length_max: usize,
    /// argon2id memory, in KiB.
    pub memory_kib: u32,
    /// argon2id passes.
    pub iterations: u32,
    /// argon2id lanes.
    pub parallelism: u32,
    /// Hashes at the same time, each of which keeps `memory_kib`; 0 is one for each core.
    pub threads: usize,
    /// How far the threads that hash stand back behind whatever else wants the cores, as of nice(1): 0 to 19.
    pub niceness: u8,
    /// Hashes that may wait for a thread.
    pub queue_max: usize,
    /// How long one may wait, in milliseconds.
    pub wait_ms: u64,
    /// Database connections that requests with a password may hold at the same time.
    pub connections: NonZeroUsize,
    /// How long a request with a password may take from its place in the queue to its answer, in milliseconds.
    pub answer_ms: u64,
}

/// NIST 800-63B-4 takes nothing shorter, whatever else is asked for.
const LENGTH_MIN_FLOOR: usize = 8;
/// Nor may the longest be shorter than this.
const LENGTH_MAX_FLOOR: usize = 64;
/// nice(1) knows no more.
const NICENESS_MAX: u8 = 19;

impl PasswordSettings {
    /// What a new password must be like.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            length_min: self.length_min,
            length_max: self.length_max,
        }
    }

    /// How long a hash may wait for a thread.
    #[must_use]
    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    /// How long a request with a password may take.
    #[must_use]
    pub fn answer(&self) -> Duration {
        Duration::from_millis(self.answer_ms)
    }

    pub(super) fn validate(&self) -> anyhow::Result<()> {
        ensure!(
            self.length_min >= LENGTH_MIN_FLOOR,
            "password.length_min: must be at least {LENGTH_MIN_FLOOR}"
        );
        ensure!(
            self.length_max >= LENGTH_MAX_FLOOR && self.length_max >= self.length_min,
            "password.length_max: must be at least {LENGTH_MAX_FLOOR}, and not under password.length_min"
        );
        ensure!(
            self.niceness <= NICENESS_MAX,
            "password.niceness: must be at most {NICENESS_MAX}"
        );
        ensure!(self.answer_ms > 0, "password.answer_ms: must be at least 1");
        Ok(())
    }
}
