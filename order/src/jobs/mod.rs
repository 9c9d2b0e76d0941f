//! Timers.

mod deadline;
mod held_back;
mod idempotency;

use chassis::Tasks;

use crate::app::State;
use crate::config::IdempotencySettings;
pub(crate) use deadline::DeadlineTimer;
pub(crate) use held_back::Holding;

/// Starts them.
pub(crate) fn start(tasks: &Tasks, state: &State, deadline: DeadlineTimer, keys: IdempotencySettings) {
    let stored = state.clone();
    let (streams, pool) = (state.streams.clone(), state.pool.clone());
    tasks.spawn("deadline", |stopping| deadline.run(stopping));
    tasks.spawn("idempotency", |stopping| idempotency::run(stored, keys, stopping));
    tasks.spawn("streams", |stopping| streams.run(pool, stopping));
}
