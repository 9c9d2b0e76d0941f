//! Timers.

mod deadline;
mod idempotency;

use chassis::Tasks;

use crate::app::State;
use crate::config::{IdempotencySettings, SagaSettings};

/// Starts them.
pub(crate) fn start(tasks: &Tasks, state: &State, saga: SagaSettings, keys: IdempotencySettings) {
    let (orders, stored) = (state.clone(), state.clone());
    tasks.spawn("deadline", |stopping| deadline::run(orders, saga, stopping));
    tasks.spawn("idempotency", |stopping| idempotency::run(stored, keys, stopping));
}
