//! Settled deliveries and idempotency keys are forgotten after a while; what users were told is not.

use std::time::Duration;

use chassis::{Pool, clock};
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store;

/// How often what is old is looked for.
const EVERY: Duration = Duration::from_secs(3_600);
/// Forgotten in one statement.
const BATCH: i64 = 1_000;

/// How long what is over is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Settled deliveries.
    pub(crate) deliveries: TimeDelta,
    /// Idempotency keys.
    pub(crate) keys: TimeDelta,
}

/// Runs until `stop`.
pub(crate) async fn forget_old(pool: Pool, kept: Kept, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = sweep(&pool, kept, &stop).await {
            warn!(error = %error, "what is old cannot be forgotten, waiting");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn sweep(pool: &Pool, kept: Kept, stop: &CancellationToken) -> anyhow::Result<()> {
    let now = clock::now();
    let full = |forgotten: usize| i64::try_from(forgotten).is_ok_and(|forgotten| forgotten >= BATCH);
    let mut more = true;
    while more && !stop.is_cancelled() {
        let mut conn = pool.get().await?;
        let deliveries = store::forget_settled(&mut conn, now - kept.deliveries, BATCH).await?;
        let keys = store::idempotency::forget(&mut conn, now - kept.keys, BATCH).await?;
        more = full(deliveries) || full(keys);
    }
    Ok(())
}
