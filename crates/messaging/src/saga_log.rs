//! One line for each step of a saga, once it is committed: by `saga.id` the log of every service can be searched for an
//! order. Silenced with `log.filter=info,saga=off`.

use contracts::Context;
use tracing::{info, info_span};
use uuid::Uuid;

use crate::trace::TraceContext;

const TARGET: &str = "saga";

/// What a step did: a state moved because of an event, an answer or a command.
#[derive(Debug, Clone)]
pub(crate) struct SagaStep {
    pub(crate) saga: Uuid,
    /// The topic, or the action that was answered.
    pub(crate) cause: String,
    pub(crate) cause_id: Uuid,
    /// The topics of the events that it announces.
    pub(crate) announces: Vec<&'static str>,
    /// The actions that it asks for.
    pub(crate) asks: Vec<&'static str>,
    pub(crate) trace: TraceContext,
}

impl SagaStep {
    /// To be called after the commit.
    pub(crate) fn tell(&self) {
        let span = info_span!("saga step", saga.id = %self.saga);
        self.trace.adopt(&span);
        let _entered = span.enter();
        info!(
            target: TARGET,
            {
                cause = self.cause,
                cause.id = %self.cause_id,
                announces = self.announces.join(","),
                asks = self.asks.join(","),
            },
            "saga step"
        );
    }
}

/// A step that a command or a timer has made, in the trace of whoever calls; `cause` is its name. To be called after the
/// commit.
pub fn tell(context: &Context, cause: &'static str, announces: &[&'static str]) {
    info!(
        target: TARGET,
        {
            saga.id = %context.correlation_id,
            cause,
            cause.id = %context.cause_id,
            announces = announces.join(","),
        },
        "saga step"
    );
}
