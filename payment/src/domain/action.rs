//! What a payment asks of the provider, and what the provider may answer.

use contracts::{Money, Obsolete, OrderId};
use serde::{Deserialize, Serialize};

use super::{Payment, Status};

/// Something the provider is to do. All of them carry the order, from which the payment's [`super::ChargeKey`]s follow:
/// however often an action is performed, the provider does it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum PaymentAction {
    /// Take the money.
    Charge {
        /// For this order.
        order_id: OrderId,
        /// So much.
        amount: Money,
        /// From here.
        payment_method: String,
    },
    /// Make sure that the charge takes nothing, or tell that it has.
    Void {
        /// Of this order.
        order_id: OrderId,
    },
    /// Give the money back.
    Refund {
        /// Of this order.
        order_id: OrderId,
        /// All of it.
        amount: Money,
        /// The charge that took it.
        provider_reference: String,
    },
}

/// What the provider answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a charge.
    Charge {
        /// What came of it.
        answer: ChargeAnswer,
        /// How often it had to be asked.
        attempts: u32,
    },
    /// To a void.
    Void(VoidAnswer),
    /// To a refund: it is done.
    Refunded {
        /// The provider's own id of the refund.
        refund_reference: String,
    },
}

/// What came of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeAnswer {
    /// The money is taken.
    Approved {
        /// The provider's own id of the charge.
        reference: String,
    },
    /// No money is taken, and trying again is of no use.
    Declined {
        /// Why, in the provider's words.
        code: String,
    },
    /// The charge was voided before it took anything.
    Voided,
}

/// What came of a void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoidAnswer {
    /// No money is taken, and none will be.
    Voided,
    /// Too late: the money is taken.
    Captured {
        /// The provider's own id of the charge.
        reference: String,
    },
}

/// Whether a payment still asks for `action`. A charge that waits for its retry (or lies among the dead letters) when
/// the order is cancelled must not be made any more.
///
/// # Errors
/// Why it does not.
pub fn precondition(payment: &Payment, action: &PaymentAction) -> Result<(), Obsolete> {
    let wanted = match action {
        PaymentAction::Charge { .. } => payment.status == Status::Processing { cancel_wanted: false },
        PaymentAction::Void { .. } => payment.status == Status::Processing { cancel_wanted: true },
        PaymentAction::Refund { .. } => matches!(payment.status, Status::Refunding { .. }),
    };
    if wanted {
        return Ok(());
    }
    Err(Obsolete(match payment.status {
        Status::Processing { cancel_wanted: true } => {
            "the order is cancelled, and the payment is being voided"
        }
        Status::Processing { cancel_wanted: false } => "the payment waits for its charge",
        Status::Completed { .. } => "the payment is completed",
        Status::Failed { .. } => "the payment has failed for good",
        Status::Voided => "the order is cancelled, and the payment is voided",
        Status::Refunding { .. } => "the order is cancelled, and the money is on its way back",
        Status::Refunded { .. } => "the order is cancelled, and the money is given back",
    }))
}

/// Whether a payment still asks for `action`.
#[must_use]
pub fn is_wanted(payment: &Payment, action: &PaymentAction) -> bool {
    precondition(payment, action).is_ok()
}
