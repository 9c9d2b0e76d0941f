//! Forgets webhook events that Stripe will not send again.

use std::time::Duration;

use chassis::{Pool, clock};
use chrono::TimeDelta;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::provider::stripe::inbox;

/// Events forgotten by one statement.
const BATCH: i64 = 10_000;
const EVERY: Duration = Duration::from_secs(3_600);

/// Looks at an interval until told to stop. Replicas may do so at once: an event is deleted by one of them.
pub(crate) async fn run(pool: Pool, retention: TimeDelta, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = sweep(&pool, retention, &stopping).await {
            tracing::warn!(
                error.message = format!("{error:#}"),
                "webhook events not forgotten"
            );
        }
    }
}

async fn sweep(pool: &Pool, retention: TimeDelta, stopping: &CancellationToken) -> anyhow::Result<()> {
    let mut conn = pool.get().await?;
    while !stopping.is_cancelled() {
        let forgotten = inbox::forget(&mut conn, clock::now() - retention, BATCH).await?;
        if i64::try_from(forgotten).is_ok_and(|forgotten| forgotten < BATCH) {
            break;
        }
    }
    Ok(())
}
