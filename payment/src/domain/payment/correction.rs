//! What an operator may correct in a charge that was given up.

use contracts::InvalidField;
use uuid::Uuid;

use super::{PAYMENT_METHOD_MAX, Payment};
use crate::domain::{ChargeKey, PaymentAction};

/// A charge in place of the one in the dead letter `letter`: by another payment method, of the same order and the same
/// amount, which are the order's. It has a key of its own from now on; the earlier ones are voided before it is asked for,
/// and when one of them has taken the money already, that is the answer.
///
/// # Errors
/// What is not as it must be, and where.
pub fn on_charge_corrected(
    mut payment: Payment,
    action: PaymentAction,
    letter: Uuid,
) -> Result<(Payment, PaymentAction), Vec<InvalidField>> {
    let PaymentAction::Charge {
        order_id,
        amount,
        payment_method,
    } = &action
    else {
        return Err(vec![InvalidField::new(
            "/action",
            "only a charge can be corrected",
        )]);
    };
    let mut wrong = Vec::new();
    if *order_id != payment.order_id {
        wrong.push(InvalidField::new(
            "/order_id",
            format!("must stay {}, which the dead letter is about", payment.order_id),
        ));
    }
    if amount.currency() != payment.amount.currency() {
        let currency = payment.amount.currency().code();
        wrong.push(InvalidField::new(
            "/amount/currency",
            format!("must stay {currency}: the order is to be paid in it"),
        ));
    }
    if amount.amount_minor() != payment.amount.amount_minor() {
        let total = payment.amount.amount_minor();
        wrong.push(InvalidField::new(
            "/amount/amount_minor",
            format!("must stay {total}: the order costs that much"),
        ));
    }
    if !is_method(payment_method) {
        wrong.push(InvalidField::new(
            "/payment_method",
            format!("must be a payment method of 1 to {PAYMENT_METHOD_MAX} bytes"),
        ));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    payment.payment_method.clone_from(payment_method);
    payment.corrections.push(letter);
    Ok((payment, action))
}

/// Whether it could be a payment method at all; which ones there are is for the provider to know.
pub(super) fn is_method(method: &str) -> bool {
    (1..=PAYMENT_METHOD_MAX).contains(&method.len()) && !method.chars().any(char::is_control)
}

impl Payment {
    /// The key under which the order is charged now.
    #[must_use]
    pub fn charge_key(&self) -> ChargeKey {
        match self.corrections.last() {
            Some(letter) => ChargeKey::correcting(self.order_id, *letter),
            None => ChargeKey::first(self.order_id),
        }
    }
}
