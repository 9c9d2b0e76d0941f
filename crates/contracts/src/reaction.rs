//! The shape of business logic: a pure reaction takes the current state and a fact, and answers with the
//! next state, the facts to announce and the actions to perform on the outside world.
//!
//! A reaction reads no clock, makes no id and does no I/O; what it needs of these is in [`Context`]. It must
//! converge under any order of delivery and any duplication: [`Step::Unchanged`] is the answer to a fact
//! that has been applied already, a [`Rejection`] to one that can never be right.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::events::Event;

/// What a reaction may know besides its state and the fact.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time of this step.
    pub now: DateTime<Utc>,
    /// A `UUIDv7` nobody has used, for whatever the step brings into being.
    pub fresh_id: Uuid,
    /// Id of the event, request or action that this step answers to.
    pub cause_id: Uuid,
    /// Constant over the whole saga.
    pub correlation_id: Uuid,
}

/// A state that announces events: it numbers them.
pub trait Aggregate {
    /// Counts one more event of this aggregate and answers with its number; the first is 1.
    fn next_sequence(&mut self) -> u64;
}

/// A fact to announce, with its number among the facts of its aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The aggregate's event number.
    pub sequence: u64,
    /// The fact.
    pub event: Event,
}

/// The answer of a reaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<S, A = NoAction> {
    /// The fact has been applied already, or means nothing to this state: nothing to store.
    Unchanged,
    /// The state moves on.
    Next(Transition<S, A>),
}

/// A move to a new state, with all that must be stored in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition<S, A = NoAction> {
    /// The next state.
    pub state: S,
    /// Facts to announce, in order.
    pub events: Vec<Outgoing>,
    /// Side effects to perform after the commit.
    pub actions: Vec<A>,
}

/// For participants without side effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAction {}

/// A fact that cannot be applied to this state, now or as it stands. The message is retried, because the
/// state may catch up, and becomes a dead letter when it does not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct Rejection {
    /// Stable name of the kind of rejection, `kebab-case`; dead letters are grouped by it.
    pub class: &'static str,
    /// What is wrong, for the operator.
    pub detail: String,
}

/// Why a state no longer asks for an action, for the operator: what is owed to nobody any more is not performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Obsolete(pub &'static str);

/// Something wrong with a document, and where: what an operator sends in place of a dead letter's payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{pointer}: {detail}")]
pub struct InvalidField {
    /// RFC 6901 pointer into the document; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

impl InvalidField {
    /// `detail` is wrong at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// What a reaction returns.
pub type Reaction<S, A = NoAction> = Result<Step<S, A>, Rejection>;

impl<S: Aggregate, A> Transition<S, A> {
    /// A move to `state` that announces nothing yet.
    #[must_use]
    pub const fn to(state: S) -> Self {
        Self {
            state,
            events: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Announces `event` with the move.
    #[must_use]
    pub fn announce(mut self, event: impl Into<Event>) -> Self {
        let sequence = self.state.next_sequence();
        self.events.push(Outgoing {
            sequence,
            event: event.into(),
        });
        self
    }

    /// Asks for a side effect after the move is stored.
    #[must_use]
    pub fn perform(mut self, action: A) -> Self {
        self.actions.push(action);
        self
    }
}

impl<S, A> From<Transition<S, A>> for Step<S, A> {
    fn from(transition: Transition<S, A>) -> Self {
        Self::Next(transition)
    }
}

impl Rejection {
    /// A rejection of the kind `class`.
    pub fn new(class: &'static str, detail: impl ToString) -> Self {
        Self {
            class,
            detail: detail.to_string(),
        }
    }
}
