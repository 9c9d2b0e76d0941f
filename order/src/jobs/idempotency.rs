//! Forgets idempotency keys that nobody will send again.

use chassis::clock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::State;
use crate::config::IdempotencySettings;
use crate::store::idempotency;

/// Keys forgotten by one statement.
const BATCH: i64 = 10_000;

/// Looks at an interval until told to stop. Replicas may do so at once: a key is deleted by one of them.
pub(crate) async fn run(state: State, settings: IdempotencySettings, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(settings.sweep_every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = sweep(&state, &settings, &stopping).await {
            tracing::warn!(
                error.message = format!("{error:#}"),
                "idempotency keys not forgotten"
            );
        }
    }
}

async fn sweep(
    state: &State,
    settings: &IdempotencySettings,
    stopping: &CancellationToken,
) -> anyhow::Result<()> {
    let mut conn = state.pool.get().await?;
    while !stopping.is_cancelled() {
        let forgotten = idempotency::forget(&mut conn, clock::now() - settings.retention(), BATCH).await?;
        if i64::try_from(forgotten).is_ok_and(|forgotten| forgotten < BATCH) {
            break;
        }
    }
    Ok(())
}
