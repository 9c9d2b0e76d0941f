//! What the provider's notices make of a payment: what it tells unasked. A notice may come before the answer to the call
//! that caused it, after it, twice, or long after it has ceased to matter.

use contracts::{Context, Reaction, Rejection, Step};

use super::Payment;
use super::answers::{approved, declined, refunded, voided};
use crate::domain::{ChargeKey, Notice, PaymentAction};

/// The provider told something unasked.
///
/// # Errors
/// A [`Rejection`] when it contradicts what the payment knows, which a person must look at.
pub fn on_provider_notice(
    payment: Option<Payment>,
    notice: &Notice,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    let payment =
        payment.ok_or_else(|| Rejection::new("unknown-payment", "a notice about no known payment"))?;
    match notice {
        Notice::Taken { reference } => approved(asked(payment), reference, context),
        Notice::Declined { code } => declined(asked(payment), code, context),
        Notice::Cancelled => voided(payment, context),
        Notice::GivenBack { refund_reference } => refunded(payment, refund_reference, context),
    }
}

/// The provider told something of the charge under `charge`, unasked. That a charge takes nothing which an operator has
/// corrected since says nothing of the payment: another one has taken its place.
///
/// # Errors
/// A [`Rejection`] when it contradicts what the payment knows, which a person must look at.
pub fn on_charge_notice(
    charge: ChargeKey,
    payment: Option<Payment>,
    notice: &Notice,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    let is_current = |payment: &Payment| payment.charge_key() == charge;
    let takes_nothing = matches!(notice, Notice::Declined { .. } | Notice::Cancelled);
    if takes_nothing && !payment.as_ref().is_none_or(is_current) {
        return Ok(Step::Unchanged);
    }
    on_provider_notice(payment, notice, context)
}

/// It was asked at least once, or there would be nothing to tell.
fn asked(payment: Payment) -> Payment {
    Payment {
        attempts: payment.attempts.max(1),
        ..payment
    }
}
