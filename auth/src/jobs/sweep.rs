//! Deletes sessions that ended long ago, with their refresh tokens. Any replica may; they do not disturb each
//! other.

use std::time::Duration;

use chassis::{Pool, clock};
use tokio_util::sync::CancellationToken;

use crate::config::SessionSettings;
use crate::store;

/// Sessions deleted in one statement.
const BATCH: i64 = 1_000;

/// Sweeps at an interval until told to stop.
pub(crate) async fn run(pool: Pool, settings: SessionSettings, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(settings.sweep_interval_s.max(1).into()));
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match sweep(&pool, &settings, &stopping).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(sessions.deleted = count, "old sessions deleted"),
            Err(error) => tracing::warn!(error.message = format!("{error:#}"), "old sessions not deleted"),
        }
    }
}

async fn sweep(
    pool: &Pool,
    settings: &SessionSettings,
    stopping: &CancellationToken,
) -> anyhow::Result<usize> {
    let before = clock::now() - settings.retention();
    let mut total = 0_usize;
    while !stopping.is_cancelled() {
        let mut connection = pool.get().await?;
        let deleted = store::sessions::sweep(&mut connection, before, BATCH).await?;
        total = total.saturating_add(deleted);
        if deleted == 0 {
            break;
        }
    }
    Ok(total)
}
