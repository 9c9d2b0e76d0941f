//! What the provider's answers make of a payment.

use contracts::events::PaymentRefunded;
use contracts::{Context, Reaction, Rejection, Step, Transition};

use super::{Payment, Status};
use crate::domain::{Answer, ChargeAnswer, PaymentAction, VoidAnswer};

/// The provider answered.
///
/// # Errors
/// A [`Rejection`] when the answer contradicts an earlier one, which a person must look at.
pub fn on_provider_answer(
    payment: Option<Payment>,
    answer: &Answer,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    let payment =
        payment.ok_or_else(|| Rejection::new("unknown-payment", "an answer about no known payment"))?;
    match answer {
        Answer::Charge { answer, attempts } => {
            let payment = Payment {
                attempts: *attempts,
                ..payment
            };
            match answer {
                ChargeAnswer::Approved { reference } => approved(payment, reference, context),
                ChargeAnswer::Declined { code } => declined(payment, code, context),
                ChargeAnswer::Voided => voided(payment, context),
            }
        }
        Answer::Void(VoidAnswer::Voided) => voided(payment, context),
        Answer::Void(VoidAnswer::Captured { reference }) => approved(payment, reference, context),
        Answer::Refunded { refund_reference } => refunded(payment, refund_reference, context),
    }
}

pub(super) fn approved(payment: Payment, taken: &str, context: &Context) -> Reaction<Payment, PaymentAction> {
    match payment.status.clone() {
        Status::Processing { cancel_wanted: false } => Ok(payment.completed(taken, context).into()),
        // the order was cancelled: the money is taken and goes back
        Status::Processing { cancel_wanted: true } | Status::Voided => {
            let Transition { state, events, .. } = payment.completed(taken, context);
            let refund = state.refunding(taken.to_owned(), context);
            Ok(Transition { events, ..refund }.into())
        }
        // the order may not have heard of the failure yet, and must not hear of a completion before it
        Status::Failed { .. } => Ok(payment.refunding(taken.to_owned(), context).into()),
        Status::Completed { reference }
        | Status::Refunding { reference }
        | Status::Refunded { reference, .. } => {
            if reference == taken {
                return Ok(Step::Unchanged);
            }
            let detail = format!(
                "{} was charged as {reference} and again as {taken}",
                payment.order_id
            );
            Err(Rejection::new("charged-twice", detail))
        }
    }
}

pub(super) fn declined(payment: Payment, code: &str, context: &Context) -> Reaction<Payment, PaymentAction> {
    match payment.status.clone() {
        Status::Processing { cancel_wanted: false } => Ok(payment.failed(code, context).into()),
        Status::Processing { cancel_wanted: true } => Ok(payment.ended(context)),
        Status::Failed { .. } | Status::Voided => Ok(Step::Unchanged),
        // of an attempt before the one that took the money, of which a notice told first
        Status::Completed { .. } | Status::Refunding { .. } | Status::Refunded { .. } => Ok(Step::Unchanged),
    }
}

pub(super) fn voided(payment: Payment, context: &Context) -> Reaction<Payment, PaymentAction> {
    match payment.status {
        Status::Processing { cancel_wanted: true } => Ok(payment.ended(context)),
        // the provider will not take the money of an order that still wants to be paid
        Status::Processing { cancel_wanted: false } => Ok(payment.failed("voided", context).into()),
        Status::Failed { .. } | Status::Voided => Ok(Step::Unchanged),
        // answers may cross: an earlier one told of the capture already
        Status::Completed { .. } | Status::Refunding { .. } | Status::Refunded { .. } => Ok(Step::Unchanged),
    }
}

pub(super) fn refunded(
    payment: Payment,
    refund_reference: &str,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    match payment.status.clone() {
        Status::Refunding { reference } => {
            let fact = PaymentRefunded {
                payment_id: payment.id,
                order_id: payment.order_id,
                customer_id: payment.customer_id,
                amount: payment.amount,
                refund_reference: refund_reference.to_owned(),
            };
            let status = Status::Refunded {
                reference,
                refund_reference: refund_reference.to_owned(),
            };
            Ok(Transition::to(payment.moved(status, context))
                .announce(fact)
                .into())
        }
        Status::Refunded { .. } => Ok(Step::Unchanged),
        Status::Processing { .. } | Status::Completed { .. } | Status::Failed { .. } | Status::Voided => {
            let detail = format!("a refund of {}, which was not asked for", payment.order_id);
            Err(Rejection::new("unexpected-refund", detail))
        }
    }
}
