//! An action of the payment on its way to the provider and back: a row of the kernel's table of work.

use payment::domain::PaymentAction;

use crate::cast::Code;

/// Which action. A payment asks for each at most once; a law holds it to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Take the money.
    Charge,
    /// Keep the charge from taking money.
    Void,
    /// Give the money back.
    Refund,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Charge, Self::Void, Self::Refund];

    /// The kind of `action`.
    pub(crate) fn of(action: &PaymentAction) -> Self {
        match action {
            PaymentAction::Charge { .. } => Self::Charge,
            PaymentAction::Void { .. } => Self::Void,
            PaymentAction::Refund { .. } => Self::Refund,
        }
    }

    /// Its place in tables of errands.
    pub(crate) fn slot(self) -> usize {
        match self {
            Self::Charge => 0,
            Self::Void => 1,
            Self::Refund => 2,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Nobody has asked for it.
    Unasked,
    /// Its row is due, for the first time or again. How often it failed is not told apart: it may fail any number of
    /// times, and die after any.
    Due,
    /// It is claimed and was found to be wanted; the request is on its way.
    Called,
    /// It is claimed and was found not to be wanted any more; its row is still there.
    Unwanted,
    /// The provider has done it; its answer is known to the process and to nobody else.
    Answered(Code),
    /// Its answer is applied, or it was not wanted any more.
    Done,
    /// It was given up on.
    Dead,
}

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Errand {
    /// What is to be done, once it is asked for.
    pub(crate) action: Option<Code>,
    /// How far it is.
    pub(crate) phase: Phase,
    /// A request was sent at least once. Whoever sent it may have given up waiting, or be dead: it can still arrive,
    /// at any later moment.
    pub(crate) sent: bool,
}

impl Errand {
    /// Not asked for.
    pub(crate) const UNASKED: Self = Self {
        action: None,
        phase: Phase::Unasked,
        sent: false,
    };
}
