//! The outside world as the dispatcher sees it.

use async_trait::async_trait;
use thiserror::Error;

use crate::Failure;

/// Carries out a participant's actions. An action may be performed more than once (a crash, an answer that got
/// lost), so whatever stands outside must be called with an idempotency key that the action implies.
#[async_trait]
pub trait Performer<A>: Send + Sync + 'static {
    /// What came of it; reacts like an event.
    type Outcome: Clone + Send + Sync + 'static;

    /// Carries out `action`. Must end within the dispatcher's lease.
    async fn perform(&self, action: &A, attempt: Attempt) -> Result<Self::Outcome, ActionError>;
}

/// Which attempt this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Attempts that failed before this one.
    pub failed_before: u32,
}

/// Why an action has no outcome yet.
#[derive(Debug, Error)]
pub enum ActionError {
    /// It failed and is retried; when retries are spent it becomes a dead letter.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Something every action needs is down: it is tried again without counting this attempt.
    #[error("{0}")]
    Outage(#[source] Box<dyn std::error::Error + Send + Sync>),
}
