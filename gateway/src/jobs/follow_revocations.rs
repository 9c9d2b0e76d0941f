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
        let swept: anyhow::Result<usize> =
            async { Ok(revocations::sweep(&mut *pool.get().await?).await?) }.await;
        match swept {
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
