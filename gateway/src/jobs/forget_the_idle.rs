//! Addresses and users whose quota is whole again need not be remembered.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// The longest that anybody is remembered for nothing.
const EVERY: Duration = Duration::from_secs(60);

/// Runs until the process stops.
pub(crate) async fn run(limits: Arc<Limits>, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => limits.forget_the_idle(),
        }
    }
}
