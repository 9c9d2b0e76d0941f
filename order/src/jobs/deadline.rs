//! Cancels orders that have waited too long for their payment. Any replica may: an order is locked and looked at again
//! before it is cancelled, so that of two replicas one cancels it and the other finds it cancelled.

use chassis::clock;
use contracts::{Context, OrderId};
use diesel::QueryResult;
use diesel_async::AsyncConnection;
use messaging::Conn;
use messaging::command::{self, Done};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::State;
use crate::config::SagaSettings;
use crate::domain::expire;
use crate::store::{self, OrderRepository};

/// What one batch came to.
#[derive(Default)]
struct Batch {
    found: usize,
    cancelled: usize,
    /// The first that could not be cancelled, and how many more.
    failed: Option<(OrderId, diesel::result::Error, usize)>,
}

/// Looks at an interval until told to stop.
pub(crate) async fn run(state: State, saga: SagaSettings, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(saga.poll());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = sweep(&state, &saga, &stopping).await {
            tracing::warn!(
                error.message = format!("{error:#}"),
                "overdue orders not looked for"
            );
        }
    }
}

/// One batch after the other, as long as they are full and get anywhere.
async fn sweep(state: &State, saga: &SagaSettings, stopping: &CancellationToken) -> anyhow::Result<()> {
    while !stopping.is_cancelled() {
        let batch = one_batch(state, saga, stopping).await?;
        let full = i64::try_from(batch.found).is_ok_and(|found| found >= saga.batch());
        if !full || batch.cancelled == 0 {
            break;
        }
    }
    Ok(())
}

async fn one_batch(
    state: &State,
    saga: &SagaSettings,
    stopping: &CancellationToken,
) -> anyhow::Result<Batch> {
    let mut conn = state.pool.get().await?;
    let due = store::overdue(&mut conn, clock::now() - saga.patience(), saga.batch()).await?;
    let mut batch = Batch {
        found: due.len(),
        ..Batch::default()
    };
    for id in due {
        if stopping.is_cancelled() {
            break;
        }
        // one order a transaction: one that cannot be stored does not keep the others waiting
        match cancel(&mut conn, id, saga).await {
            Ok(true) => {
                batch.cancelled += 1;
                state.signals.committed();
            }
            Ok(false) => {}
            Err(error) => batch.note(id, error),
        }
    }
    batch.tell();
    Ok(batch)
}

/// Whether it was cancelled by this.
async fn cancel(conn: &mut Conn, id: OrderId, saga: &SagaSettings) -> QueryResult<bool> {
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: id.uuid(),
    };
    conn.transaction(async |conn| {
        let decide = |order, context: &Context| QueryResult::Ok(expire(order, saga.patience(), context));
        let done = command::execute(&OrderRepository, conn, "order", id.uuid(), &context, decide).await?;
        Ok(matches!(done, Done::Moved(_)))
    })
    .await
}

impl Batch {
    fn note(&mut self, id: OrderId, error: diesel::result::Error) {
        match &mut self.failed {
            Some((_, _, more)) => *more += 1,
            none => *none = Some((id, error, 0)),
        }
    }

    fn tell(&self) {
        if self.cancelled > 0 {
            tracing::info!(orders.cancelled = self.cancelled, "overdue orders cancelled");
        }
        if let Some((id, error, more)) = &self.failed {
            tracing::warn!(order.id = %id, orders.more = more, error.message = %error, "overdue order not cancelled");
        }
    }
}
