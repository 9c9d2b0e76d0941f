//! Timers.

mod deadline;

use chassis::Tasks;

use crate::app::State;
use crate::config::SagaSettings;

/// Starts them.
pub(crate) fn start(tasks: &Tasks, state: State, saga: SagaSettings) {
    tasks.spawn("deadline", |stopping| deadline::run(state, saga, stopping));
}
