//! Cancels orders that have waited too long for their payment, once everything that was said before their deadline has
//! been read. Any replica may: an order is locked and looked at again before it is cancelled, so that of two replicas one
//! cancels it and the other finds it cancelled.
//!
//! A payment that was completed in time may stand unread on its topic for as long as the consumer is held up. So an order
//! is judged only when the read fence ([`messaging::ReadFence`]) tells that the service has processed everything that was
//! on its topics at some instant after the deadline, and only while no message about the order is parked. Until then it is
//! held back, for as long as it takes; what is held back for too long is named for an operator to decide.

use chassis::clock;
use chrono::{DateTime, Utc};
use contracts::{Context, OrderId, Topic};
use diesel::QueryResult;
use diesel_async::AsyncConnection;
use messaging::command::{self, Done};
use messaging::{Conn, HoldReason, ReadFence, saga_log};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::held_back::Holding;
use crate::app::State;
use crate::config::SagaSettings;
use crate::domain::expire;
use crate::store::{OrderRepository, overdue};

/// The timer of one replica.
pub(crate) struct DeadlineTimer {
    pub(crate) state: State,
    pub(crate) saga: SagaSettings,
    pub(crate) fence: ReadFence,
    pub(crate) holding: Holding,
}

/// What one batch came to.
#[derive(Default)]
struct Batch {
    found: usize,
    cancelled: usize,
    /// The first that could not be cancelled, and how many more.
    failed: Option<(OrderId, diesel::result::Error, usize)>,
}

impl DeadlineTimer {
    /// Looks at an interval until told to stop.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(self.saga.poll());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.sweep(&stopping).await {
                tracing::warn!(
                    error.message = format!("{error:#}"),
                    "overdue orders not looked for"
                );
            }
        }
    }

    async fn sweep(&mut self, stopping: &CancellationToken) -> anyhow::Result<()> {
        let placed_by = clock::now() - self.saga.patience();
        let Some(span) = overdue::span(&mut *self.state.pool.get().await?, placed_by).await? else {
            self.fence.rest();
            self.holding.ended();
            return Ok(());
        };
        let youngest_deadline = span.youngest + self.saga.patience();
        let mut reason = self.read_up_to(youngest_deadline, stopping).await;
        if let Some(read) = self.fence.passed() {
            let judged = placed_by.min(read - self.saga.patience());
            let failed = self.cancel_all(judged, stopping).await?;
            reason = reason.or(failed.then_some(HoldReason::Undecided));
        }
        self.hold_the_rest(placed_by, reason.unwrap_or(HoldReason::Parked))
            .await
    }

    /// Asks Kafka until everything that was on the topics at `deadline` has been read; the reason when that is not so yet.
    async fn read_up_to(
        &mut self,
        deadline: DateTime<Utc>,
        stopping: &CancellationToken,
    ) -> Option<HoldReason> {
        // once about the fence that stands since an earlier sweep, once about a new one
        for _ in 0..2 {
            if self.has_read(deadline) {
                return None;
            }
            let asked = tokio::select! {
                () = stopping.cancelled() => return Some(HoldReason::Unanswered),
                asked = self.fence.advance() => asked,
            };
            self.holding.asked(asked.as_ref().err());
            if asked.is_err() {
                return Some(HoldReason::Unanswered);
            }
        }
        (!self.has_read(deadline)).then_some(HoldReason::Unread)
    }

    fn has_read(&self, deadline: DateTime<Utc>) -> bool {
        self.fence.passed().is_some_and(|read| read >= deadline)
    }

    /// One batch after the other, as long as they are full and get anywhere. Whether some could not be cancelled.
    async fn cancel_all(
        &self,
        placed_by: DateTime<Utc>,
        stopping: &CancellationToken,
    ) -> anyhow::Result<bool> {
        while !stopping.is_cancelled() {
            let batch = self.one_batch(placed_by, stopping).await?;
            let full = i64::try_from(batch.found).is_ok_and(|found| found >= self.saga.batch());
            if !full || batch.cancelled == 0 {
                return Ok(batch.failed.is_some());
            }
        }
        Ok(false)
    }

    async fn one_batch(
        &self,
        placed_by: DateTime<Utc>,
        stopping: &CancellationToken,
    ) -> anyhow::Result<Batch> {
        let mut conn = self.state.pool.get().await?;
        let due = overdue::due(&mut conn, placed_by, self.saga.batch()).await?;
        let mut batch = Batch {
            found: due.len(),
            ..Batch::default()
        };
        for id in due {
            if stopping.is_cancelled() {
                break;
            }
            // one order a transaction: one that cannot be stored does not keep the others waiting
            match cancel(&mut conn, id, &self.saga).await {
                Ok(true) => {
                    batch.cancelled += 1;
                    self.state.signals.committed();
                }
                Ok(false) => {}
                Err(error) => batch.note(id, error),
            }
        }
        batch.tell();
        Ok(batch)
    }

    async fn hold_the_rest(&mut self, placed_by: DateTime<Utc>, reason: HoldReason) -> anyhow::Result<()> {
        let mut conn = self.state.pool.get().await?;
        let operator_by = placed_by - self.saga.operator_after();
        let limit = Holding::NAMED;
        match overdue::remaining(&mut conn, placed_by, operator_by, limit).await? {
            None => self.holding.ended(),
            Some(remaining) => {
                let since = remaining.oldest + self.saga.patience();
                self.holding.holds(remaining, since, reason, self.fence.passed());
            }
        }
        Ok(())
    }
}

/// Whether it was cancelled by this.
async fn cancel(conn: &mut Conn, id: OrderId, saga: &SagaSettings) -> QueryResult<bool> {
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: id.uuid(),
    };
    let done = conn
        .transaction(async |conn| {
            let decide = |order, context: &Context| QueryResult::Ok(expire(order, saga.patience(), context));
            command::execute(&OrderRepository, conn, "order", id.uuid(), &context, decide).await
        })
        .await?;
    let moved = matches!(done, Done::Moved(_));
    if moved {
        saga_log::tell(&context, "deadline", &[Topic::OrderCancelled.name()]);
    }
    Ok(moved)
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
