//! Deliveries whose wait is over get their next attempt. Replicas may find the same ones: the delivery's lock lets one
//! go first, and for the other nothing is left to do.

use std::time::Duration;

use chassis::{Pool, clock};
use contracts::Context;
use diesel::QueryResult;
use diesel_async::AsyncConnection;
use messaging::command::{self, Done};
use messaging::{Conn, Signals};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::config::DeliverySettings;
use crate::domain::resume;
use crate::store::{self, Channels, DeliveryRepository};

/// Runs until `stop`.
pub(crate) async fn resume_due(
    pool: Pool,
    signals: Signals,
    channels: Channels,
    settings: DeliverySettings,
    stop: CancellationToken,
) {
    let poll = Duration::from_millis(settings.poll_ms.max(1).into());
    while !stop.is_cancelled() {
        let full = match one_batch(&pool, &signals, channels, settings.batch_max).await {
            Ok(found) => found >= usize::from(settings.batch_max),
            Err(error) => {
                warn!(error = %error, "deliveries cannot be resumed, waiting");
                false
            }
        };
        if !full {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
    }
}

async fn one_batch(pool: &Pool, signals: &Signals, channels: Channels, max: u16) -> anyhow::Result<usize> {
    let mut conn = pool.get().await?;
    let due = store::due(&mut conn, clock::now(), max.into()).await?;
    let mut moved = false;
    for id in &due {
        // one a transaction: one that cannot be stored does not keep the others waiting
        match one(&mut conn, *id, channels).await {
            Ok(did) => moved |= did,
            Err(error) => warn!(delivery.id = %id, error = %error, "a delivery cannot be resumed"),
        }
    }
    if moved {
        signals.committed();
    }
    // what could not be resumed is not asked for again at once
    Ok(if moved { due.len() } else { 0 })
}

async fn one(conn: &mut Conn, id: Uuid, channels: Channels) -> QueryResult<bool> {
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: id,
    };
    conn.transaction(async |conn| {
        let decide = |delivery, context: &Context| QueryResult::Ok(resume(delivery, context));
        let repository = DeliveryRepository(channels);
        let done = command::execute(&repository, conn, "notification", id, &context, decide).await?;
        Ok(matches!(done, Done::Moved(_)))
    })
    .await
}
