//! Deletes what is over: sessions that ended long ago with their refresh tokens, refresh tokens spent long ago, answers to
//! refreshes that nobody gets again, failed logins that are forgotten, signing keys whose tokens have expired. Any replica may; they do not disturb each other.

use std::time::Duration;

use chassis::{Pool, clock};
use tokio_util::sync::CancellationToken;

use crate::config::AuthSettings;
use crate::{signing, store};

/// Rows deleted in one statement.
const BATCH: i64 = 1_000;

/// Sweeps at an interval until told to stop.
pub(crate) async fn run(pool: Pool, settings: AuthSettings, stopping: CancellationToken) {
    let interval = settings.session.sweep_interval_s.max(1);
    let mut ticks = tokio::time::interval(Duration::from_secs(interval.into()));
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match sweep(&pool, &settings, &stopping).await {
            Ok(Swept {
                sessions: 0,
                tokens: 0,
                answers: 0,
                throttles: 0,
                keys: 0,
            }) => {}
            Ok(swept) => tracing::info!(
                sessions.deleted = swept.sessions,
                refresh_tokens.deleted = swept.tokens,
                refresh_answers.deleted = swept.answers,
                throttles.deleted = swept.throttles,
                keys.deleted = swept.keys,
                "what was over is deleted"
            ),
            Err(error) => tracing::warn!(error.message = format!("{error:#}"), "sweep failed"),
        }
    }
}

/// What was deleted.
#[derive(Default)]
struct Swept {
    sessions: usize,
    tokens: usize,
    answers: usize,
    throttles: usize,
    keys: usize,
}

async fn sweep(pool: &Pool, settings: &AuthSettings, stopping: &CancellationToken) -> anyhow::Result<Swept> {
    let now = clock::now();
    let mut swept = Swept::default();
    {
        let overlap = signing::overlap(&settings.keys, &settings.session);
        let mut connection = pool.get().await?;
        swept.keys = signing::remove_old(&mut connection, overlap, now).await?;
    }
    let before = now - settings.session.retention();
    // a token that would have expired by now tells nothing when it comes back: nobody could use it
    let spent_before = now - settings.session.refresh_ttl();
    let answered_before = now - settings.session.retry_grace();
    while !stopping.is_cancelled() {
        let mut connection = pool.get().await?;
        let sessions = store::sessions::sweep(&mut connection, before, BATCH).await?;
        let tokens = store::sessions::sweep_spent(&mut connection, spent_before, BATCH).await?;
        let answers = store::sessions::sweep_answers(&mut connection, answered_before, BATCH).await?;
        let throttles = store::throttle::sweep(&mut connection, now, BATCH).await?;
        swept.sessions = swept.sessions.saturating_add(sessions);
        swept.tokens = swept.tokens.saturating_add(tokens);
        swept.answers = swept.answers.saturating_add(answers);
        swept.throttles = swept.throttles.saturating_add(throttles);
        if sessions == 0 && tokens == 0 && answers == 0 && throttles == 0 {
            break;
        }
    }
    Ok(swept)
}
