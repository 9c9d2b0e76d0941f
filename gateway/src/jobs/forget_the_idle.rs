//! Addresses and users whose quota is whole again need not be remembered.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// `every` is the longest that anybody is remembered for nothing. Runs until the process stops.
pub(crate) async fn run(limits: Arc<Limits>, every: Duration, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => limits.forget_the_idle(),
        }
    }
}
