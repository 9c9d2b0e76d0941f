//! Failed attempts, told once they are committed: counted, and logged under the trace of the saga they belong to.

use tracing::{error, info_span, warn};
use uuid::Uuid;

use crate::Failure;
use crate::headers::Headers;
use crate::metrics::KernelMetrics;
use crate::record::uuid_key;
use crate::trace::TraceContext;

/// A failed attempt of a message or an action.
pub(crate) struct FailedAttempt {
    /// The row of work it is about.
    pub(crate) work_id: Uuid,
    /// No attempt is left.
    pub(crate) dead: bool,
    /// What went wrong.
    pub(crate) failure: Failure,
    key: Option<Uuid>,
    trace: TraceContext,
}

impl FailedAttempt {
    /// An attempt of what came with that key and those headers.
    pub(crate) fn new(
        work_id: Uuid,
        key: Option<&[u8]>,
        headers: &Headers,
        failure: Failure,
        dead: bool,
    ) -> Self {
        Self {
            work_id,
            dead,
            key: uuid_key(key),
            trace: TraceContext::of_headers(headers),
            failure,
        }
    }

    /// Counts and logs it.
    pub(crate) fn tell(&self, metrics: &KernelMetrics) {
        metrics.attempt_failed(self.dead);
        let key = self.key.map(|key| key.to_string());
        let span = info_span!("attempt failed", work.id = %self.work_id, saga.id = key);
        self.trace.adopt(&span);
        let _entered = span.enter();
        let (class, failure) = (&self.failure.class, &self.failure);
        if self.dead {
            error!(error.class = class, error = %failure, "retries are spent, dead letter");
        } else {
            warn!(error.class = class, error = %failure, "attempt failed, will retry");
        }
    }
}
