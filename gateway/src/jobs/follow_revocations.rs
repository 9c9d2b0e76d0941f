//! Keeps this instance's list of ended logins up to date, and the table short.

use std::time::Duration;

use chassis::Pool;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::config::RevocationSettings;
use crate::edge::Revocations;
use crate::metrics::{GatewayMetrics, Source};
use crate::store::revocations::{self, Mark};

/// How often a database that does not answer is complained about.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// Rows deleted by one statement.
const BATCH: i64 = 10_000;

/// Runs until the process stops.
pub(crate) async fn run(
    known: Revocations,
    mut mark: Mark,
    pool: Pool,
    settings: RevocationSettings,
    metrics: GatewayMetrics,
    stopping: CancellationToken,
) {
    let mut ticks = tokio::time::interval(settings.poll());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complained: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let read = known.catch_up(&pool, &mark).await;
        known.forget_the_expired();
        metrics.revocations(known.len());
        metrics.revocations_unread(Source::Database, read.is_err());
        match read {
            Ok(read) => {
                mark = read;
                complained = None;
            }
            Err(error) => {
                if complained.is_none_or(|at| at.elapsed() > COMPLAIN_EVERY) {
                    complained = Some(Instant::now());
                    tracing::warn!(
                        error.message = format!("{error:#}"),
                        "ended logins could not be read"
                    );
                }
            }
        }
    }
}

/// Deletes rows that speak of no token that is left, until the process stops.
pub(crate) async fn sweep(pool: Pool, every: Duration, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match sweep_batches(&pool, &stopping).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(rows = count, "forgot ended logins"),
            Err(error) => {
                tracing::warn!(
                    error.message = format!("{error:#}"),
                    "ended logins could not be swept"
                );
            }
        }
    }
}

async fn sweep_batches(pool: &Pool, stopping: &CancellationToken) -> anyhow::Result<usize> {
    let mut conn = pool.get().await?;
    let mut total = 0_usize;
    while !stopping.is_cancelled() {
        let swept = revocations::sweep(&mut conn, BATCH).await?;
        total = total.saturating_add(swept);
        if i64::try_from(swept).is_ok_and(|swept| swept < BATCH) {
            break;
        }
    }
    Ok(total)
}
