//! Timers.

mod sweep;

use chassis::{Pool, Tasks};

use crate::config::SessionSettings;

/// Starts them.
pub(crate) fn start(tasks: &Tasks, pool: Pool, settings: SessionSettings) {
    tasks.spawn("session sweep", |stopping| sweep::run(pool, settings, stopping));
}
