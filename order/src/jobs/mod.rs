//! Timers.

mod deadline;
mod idempotency;

use chassis::Tasks;

use crate::app::State;
use crate::config::{IdempotencySettings, SagaSettings};

/// Starts them.
pub(crate) fn start(tasks: &Tasks, state: &State, saga: SagaSettings, keys: IdempotencySettings) {
    let (orders, stored) = (state.clone(), state.clone());
    let (streams, pool) = (state.streams.clone(), state.pool.clone());
    tasks.spawn("deadline", |stopping| deadline::run(orders, saga, stopping));
    tasks.spawn("idempotency", |stopping| idempotency::run(stored, keys, stopping));
    tasks.spawn("streams", |stopping| streams.run(pool, stopping));
}
