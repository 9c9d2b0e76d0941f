//! The payment's state machine:
//!
//! ```text
//! (none) ─order.created─► Processing ─approved─► Completed ─order.cancelled─► Refunding ─► Refunded
//!                             ├─declined─► Failed ─approved after all─► Refunding
//!                             └─order.cancelled─► Processing, cancel wanted ─► Voided | Refunding
//! (none) ─order.cancelled─► Voided      (a late order.created then never charges)
//! ```
//!
//! Whatever the order of facts and answers, a cancelled order ends with no money kept: an approval that comes when
//! nothing was to be charged any more is given back.
//!
//! A payment that was announced as failed is never announced as completed: on their ways the two could cross, and
//! confirm an order whose money goes back.

use chrono::{DateTime, Utc};
use contracts::events::{OrderCancelled, OrderCreated, PaymentCompleted, PaymentFailed};
use contracts::{
    Aggregate, Context, Money, OrderId, PaymentId, Reaction, Rejection, Step, Transition, UserId,
};
use uuid::Uuid;

use super::{PaymentAction, Provider};

mod answers;
mod correction;
mod notices;

pub use answers::on_provider_answer;
pub use correction::on_charge_corrected;
pub use notices::{on_charge_notice, on_provider_notice};

/// The payment of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The order it pays for.
    pub order_id: OrderId,
    /// Who pays.
    pub customer_id: UserId,
    /// What the order costs.
    pub amount: Money,
    /// How the customer pays; empty when the order was cancelled before it was heard of.
    pub payment_method: String,
    /// Dead letters of its charge that operators have corrected, the oldest first: each stands for a key of its own.
    pub corrections: Vec<Uuid>,
    /// The provider's name.
    pub provider: String,
    /// How far it is.
    pub status: Status,
    /// How often the provider was asked to charge, once it has answered.
    pub attempts: u32,
    /// The number of the last event announced.
    pub announced: u64,
    /// When the order was heard of.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
}

/// How far a payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The provider has not answered yet.
    Processing {
        /// The order was cancelled meanwhile.
        cancel_wanted: bool,
    },
    /// The money is taken.
    Completed {
        /// The provider's own id of the charge.
        reference: String,
    },
    /// The provider refused; no money is taken.
    Failed {
        /// Why, in the provider's words.
        code: String,
    },
    /// The order was cancelled before any money was taken.
    Voided,
    /// The money is to be given back.
    Refunding {
        /// The provider's own id of the charge.
        reference: String,
    },
    /// The money is given back.
    Refunded {
        /// The provider's own id of the charge.
        reference: String,
        /// The provider's own id of the refund.
        refund_reference: String,
    },
}

/// Longest payment method that is taken to the provider, in bytes.
const PAYMENT_METHOD_MAX: usize = 255;

type PaymentStep = Step<Payment, PaymentAction>;
type PaymentTransition = Transition<Payment, PaymentAction>;

impl Aggregate for Payment {
    fn next_sequence(&mut self) -> u64 {
        self.announced = self.announced.saturating_add(1);
        self.announced
    }
}

/// [`on_order_created_at`] the simulated provider.
///
/// # Errors
/// A [`Rejection`] when the order cannot be charged as it stands.
pub fn on_order_created(
    payment: Option<Payment>,
    order: &OrderCreated,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    on_order_created_at(Provider::Simulated, payment, order, context)
}

/// An order was placed: charge it, unless it is known already (charged, or cancelled before it was heard of).
///
/// # Errors
/// A [`Rejection`] when the order cannot be charged as it stands.
pub fn on_order_created_at(
    provider: Provider,
    payment: Option<Payment>,
    order: &OrderCreated,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    if payment.is_some() {
        return Ok(Step::Unchanged);
    }
    require_amount(order.order_id, order.total)?;
    require_method(order)?;
    let charge = PaymentAction::Charge {
        order_id: order.order_id,
        amount: order.total,
        payment_method: order.payment_method.clone(),
    };
    let payment = Payment {
        id: PaymentId::new(context.fresh_id),
        order_id: order.order_id,
        customer_id: order.customer_id,
        amount: order.total,
        payment_method: order.payment_method.clone(),
        corrections: Vec::new(),
        provider: provider.as_str().to_owned(),
        status: Status::Processing { cancel_wanted: false },
        attempts: 0,
        announced: 0,
        created_at: context.now,
        updated_at: context.now,
    };
    Ok(Transition::to(payment).perform(charge).into())
}

/// [`on_order_cancelled_at`] the simulated provider.
///
/// # Errors
/// A [`Rejection`] when the order has not been heard of and could never have been charged.
pub fn on_order_cancelled(
    payment: Option<Payment>,
    order: &OrderCancelled,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    on_order_cancelled_at(Provider::Simulated, payment, order, context)
}

/// An order was cancelled: keep no money for it.
///
/// # Errors
/// A [`Rejection`] when the order has not been heard of and could never have been charged.
pub fn on_order_cancelled_at(
    provider: Provider,
    payment: Option<Payment>,
    order: &OrderCancelled,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    let Some(payment) = payment else {
        require_amount(order.order_id, order.total)?;
        return Ok(Transition::to(never_charged(provider, order, context)).into());
    };
    Ok(match payment.status.clone() {
        Status::Processing { cancel_wanted: false } => {
            let void = PaymentAction::Void {
                order_id: payment.order_id,
            };
            let status = Status::Processing { cancel_wanted: true };
            Transition::to(payment.moved(status, context))
                .perform(void)
                .into()
        }
        Status::Completed { reference } => payment.refunding(reference, context).into(),
        Status::Processing { cancel_wanted: true }
        | Status::Failed { .. }
        | Status::Voided
        | Status::Refunding { .. }
        | Status::Refunded { .. } => Step::Unchanged,
    })
}

fn never_charged(provider: Provider, order: &OrderCancelled, context: &Context) -> Payment {
    Payment {
        id: PaymentId::new(context.fresh_id),
        order_id: order.order_id,
        customer_id: order.customer_id,
        amount: order.total,
        payment_method: String::new(),
        corrections: Vec::new(),
        provider: provider.as_str().to_owned(),
        status: Status::Voided,
        attempts: 0,
        announced: 0,
        created_at: context.now,
        updated_at: context.now,
    }
}

/// Only an amount over nothing can be charged.
fn require_amount(order_id: OrderId, total: Money) -> Result<(), Rejection> {
    if total.amount_minor() > 0 {
        return Ok(());
    }
    Err(Rejection::new(
        "nothing-to-charge",
        format!("{order_id} costs {total}"),
    ))
}

/// What is no payment method at all is not taken to the provider; which ones there are is for the provider to know.
fn require_method(order: &OrderCreated) -> Result<(), Rejection> {
    let method = &order.payment_method;
    if correction::is_method(method) {
        return Ok(());
    }
    let detail = format!(
        "{} is to be paid with a method of {} bytes that cannot be one",
        order.order_id,
        method.len()
    );
    Err(Rejection::new("invalid-payment-method", detail))
}

impl Payment {
    fn moved(mut self, status: Status, context: &Context) -> Self {
        self.status = status;
        self.updated_at = context.now;
        self
    }

    fn completed(self, reference: &str, context: &Context) -> PaymentTransition {
        let fact = PaymentCompleted {
            payment_id: self.id,
            order_id: self.order_id,
            customer_id: self.customer_id,
            amount: self.amount,
            provider: self.provider.clone(),
            provider_reference: reference.to_owned(),
        };
        let status = Status::Completed {
            reference: reference.to_owned(),
        };
        Transition::to(self.moved(status, context)).announce(fact)
    }

    fn failed(self, code: &str, context: &Context) -> PaymentTransition {
        let fact = PaymentFailed {
            payment_id: self.id,
            order_id: self.order_id,
            customer_id: self.customer_id,
            amount: self.amount,
            failure_code: code.to_owned(),
        };
        Transition::to(self.moved(
            Status::Failed {
                code: code.to_owned(),
            },
            context,
        ))
        .announce(fact)
    }

    fn refunding(self, reference: String, context: &Context) -> PaymentTransition {
        let refund = PaymentAction::Refund {
            order_id: self.order_id,
            amount: self.amount,
            provider_reference: reference.clone(),
        };
        Transition::to(self.moved(Status::Refunding { reference }, context)).perform(refund)
    }

    /// Ended without money, after its order was cancelled: nobody is waiting to hear of it.
    fn ended(self, context: &Context) -> PaymentStep {
        Transition::to(self.moved(Status::Voided, context)).into()
    }
}

#[cfg(test)]
mod tests;
