//! Timers.

mod reload_keys;
mod sweep;

use std::sync::Arc;

use chassis::auth::TokenVerifier;
use chassis::{Pool, Tasks};

use crate::config::AuthSettings;
use crate::signing::KeyRing;

/// Starts them.
pub(crate) fn start(
    tasks: &Tasks,
    pool: Pool,
    settings: &AuthSettings,
    keys: Arc<KeyRing>,
    verifier: TokenVerifier,
) {
    let interval = settings.keys.reload_interval();
    tasks.spawn("signing keys", |stopping| {
        reload_keys::run(keys, verifier, interval, stopping)
    });
    let settings = settings.clone();
    tasks.spawn("sweep", |stopping| sweep::run(pool, settings, stopping));
}
