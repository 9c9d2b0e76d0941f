//! Settled deliveries are forgotten after a while; what users were told is not.

use std::time::Duration;

use chassis::{Pool, clock};
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store;

/// How often old deliveries are looked for.
const EVERY: Duration = Duration::from_secs(3_600);
/// Forgotten in one statement.
const BATCH: i64 = 1_000;

/// Runs until `stop`.
pub(crate) async fn forget_old(pool: Pool, days: u16, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = sweep(&pool, days, &stop).await {
            warn!(error = %error, "old deliveries cannot be forgotten, waiting");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn sweep(pool: &Pool, days: u16, stop: &CancellationToken) -> anyhow::Result<()> {
    let before = clock::now() - TimeDelta::days(days.into());
    while !stop.is_cancelled() {
        let mut conn = pool.get().await?;
        let forgotten = store::forget_settled(&mut conn, before, BATCH).await?;
        if i64::try_from(forgotten).is_ok_and(|forgotten| forgotten < BATCH) {
            break;
        }
    }
    Ok(())
}
