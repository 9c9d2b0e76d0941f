//! The order's state machine:
//!
//! ```text
//! (none) ─place─► Pending ─payment.completed─► Confirmed ─cancel─► Cancelled
//!                    ├─payment.failed──────► Cancelled(payment_failed: code)
//!                    ├─payment.refunded────► Cancelled(payment_failed), money back
//!                    ├─cancel (customer)───► Cancelled(customer_request)
//!                    └─deadline────────────► Cancelled(payment_timeout)
//! ```
//!
//! Facts may come late, twice and crossed: what a state has left behind is [`Step::Unchanged`].

use chrono::{DateTime, Utc};
use contracts::events::{
    CancellationReason, OrderCancelled, OrderConfirmed, OrderCreated, OrderLine, PaymentCompleted,
    PaymentFailed, PaymentRefunded,
};
use contracts::{
    Aggregate, Context, Money, MoneyError, OrderId, PaymentId, Reaction, Rejection, Step, Transition, UserId,
};
use thiserror::Error;

use super::{PaymentMethod, Product};

mod deadline;

pub use deadline::expire;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id, and the saga's.
    pub id: OrderId,
    /// Who placed it.
    pub customer_id: UserId,
    /// What was ordered; at least one line.
    pub lines: Vec<Line>,
    /// The sum of all lines.
    pub total: Money,
    /// How the customer pays.
    pub payment_method: String,
    /// How far it is.
    pub status: Status,
    /// The number of the last event announced.
    pub announced: u64,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
}

/// One line, at the price of the moment it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Stock keeping unit.
    pub sku: String,
    /// What the product was called.
    pub name: String,
    /// How many; at least 1.
    pub quantity: i32,
    /// The price of one.
    pub unit_price: Money,
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It waits for its payment.
    Pending,
    /// It is paid.
    Confirmed {
        /// By this payment.
        payment_id: PaymentId,
    },
    /// It ended; the payment service gives back whatever was taken.
    Cancelled {
        /// Why.
        reason: CancellationReason,
        /// The payment's failure code.
        code: Option<String>,
        /// Whether money that had been taken is known to be back.
        refunded: bool,
    },
}

impl Status {
    /// Its name, wherever a name is shown or stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed { .. } => "confirmed",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

/// Why an order cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// There is nothing in it.
    #[error("an order has at least one item")]
    Empty,
    /// A line has no positive quantity.
    #[error("must be at least 1")]
    Quantity {
        /// Which line, from 0.
        line: usize,
    },
    /// A product is not sold any more.
    #[error("{sku} is not sold any more")]
    Inactive {
        /// Which line, from 0.
        line: usize,
        /// Which product.
        sku: String,
    },
    /// The total does not fit, or mixes currencies.
    #[error("the total cannot be computed: {source}")]
    Total {
        /// Which line made it so, from 0.
        line: usize,
        /// Why.
        source: MoneyError,
    },
}

/// Why an order cannot be cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CancelError {
    /// There is no such order, or it is another's.
    #[error("there is no such order")]
    NotFound,
    /// It has ended already.
    #[error("the order has been cancelled already: {}", .0.as_str())]
    AlreadyCancelled(CancellationReason),
}

impl Aggregate for Order {
    fn next_sequence(&mut self) -> u64 {
        self.announced = self.announced.saturating_add(1);
        self.announced
    }
}

/// Places an order of `products` in the given quantities; prices are the catalogue's.
///
/// # Errors
/// [`PlaceError`] says which line is wrong.
pub fn place(
    customer_id: UserId,
    products: &[(Product, i32)],
    payment_method: PaymentMethod,
    context: &Context,
) -> Result<Transition<Order>, PlaceError> {
    let total = total(products)?;
    let lines = products
        .iter()
        .map(|(product, quantity)| Line::of(product, *quantity))
        .collect();
    let order = Order {
        id: OrderId::new(context.fresh_id),
        customer_id,
        lines,
        total,
        payment_method: payment_method.to_string(),
        status: Status::Pending,
        announced: 0,
        created_at: context.now,
        updated_at: context.now,
    };
    let created = OrderCreated {
        order_id: order.id,
        customer_id,
        items: order.lines.iter().map(OrderLine::from).collect(),
        total,
        payment_method: order.payment_method.clone(),
    };
    Ok(Transition::to(order).announce(created))
}

fn total(products: &[(Product, i32)]) -> Result<Money, PlaceError> {
    let (first, _) = products.first().ok_or(PlaceError::Empty)?;
    let mut total = Money::zero(first.unit_price.currency());
    for (line, (product, quantity)) in products.iter().enumerate() {
        if *quantity < 1 {
            return Err(PlaceError::Quantity { line });
        }
        if !product.active {
            return Err(PlaceError::Inactive {
                line,
                sku: product.sku.clone(),
            });
        }
        total = product
            .unit_price
            .checked_mul(*quantity)
            .and_then(|sum| total.checked_add(sum))
            .map_err(|source| PlaceError::Total { line, source })?;
    }
    Ok(total)
}

/// The customer takes the order back, before or after it is paid.
///
/// # Errors
/// [`CancelError`] when it is not `by`'s (an admin's `by` is none) or has ended.
pub fn cancel(
    order: Option<Order>,
    by: Option<UserId>,
    context: &Context,
) -> Result<Step<Order>, CancelError> {
    let order = order
        .filter(|order| by.is_none_or(|customer| customer == order.customer_id))
        .ok_or(CancelError::NotFound)?;
    match order.status {
        Status::Pending | Status::Confirmed { .. } => Ok(order
            .cancelled(CancellationReason::CustomerRequest, None, context)
            .into()),
        Status::Cancelled { reason, .. } => Err(CancelError::AlreadyCancelled(reason)),
    }
}

/// The money arrived. An order that was cancelled meanwhile stays cancelled: the payment service has heard of that,
/// too, and gives the money back.
///
/// # Errors
/// A [`Rejection`] when the payment is not this order's, which a person must look at.
pub fn on_payment_completed(
    order: Option<Order>,
    paid: &PaymentCompleted,
    context: &Context,
) -> Reaction<Order> {
    let order = order.ok_or_else(|| unknown(paid.order_id))?;
    if paid.amount != order.total {
        let detail = format!(
            "{} paid for {}, which costs {}",
            paid.amount, order.id, order.total
        );
        return Err(Rejection::new("amount-mismatch", detail));
    }
    match order.status {
        Status::Pending => Ok(order.confirmed(paid.payment_id, context).into()),
        Status::Confirmed { payment_id } if payment_id == paid.payment_id => Ok(Step::Unchanged),
        Status::Confirmed { payment_id } => {
            let detail = format!(
                "{} is paid by {payment_id} and again by {}",
                order.id, paid.payment_id
            );
            Err(Rejection::new("paid-twice", detail))
        }
        Status::Cancelled { .. } => Ok(Step::Unchanged),
    }
}

/// The payment was refused: the compensation of placing.
///
/// # Errors
/// A [`Rejection`] when the order has been paid by then, which a person must look at.
pub fn on_payment_failed(order: Option<Order>, failed: &PaymentFailed, context: &Context) -> Reaction<Order> {
    let order = order.ok_or_else(|| unknown(failed.order_id))?;
    match order.status {
        Status::Pending => {
            let code = Some(failed.failure_code.clone());
            Ok(order
                .cancelled(CancellationReason::PaymentFailed, code, context)
                .into())
        }
        Status::Confirmed { .. } => {
            let detail = format!("{} is confirmed, yet its payment failed", order.id);
            Err(Rejection::new("paid-and-failed", detail))
        }
        Status::Cancelled { .. } => Ok(Step::Unchanged),
    }
}

/// The money of a cancelled order is back. An order that is still pending is cancelled by that: only a payment that
/// failed, and took the money after all, gives back what the order has never heard of; its `payment.failed` is on its
/// way.
///
/// # Errors
/// A [`Rejection`] when the order is confirmed, which a person must look at.
pub fn on_payment_refunded(
    order: Option<Order>,
    back: &PaymentRefunded,
    context: &Context,
) -> Reaction<Order> {
    let order = order.ok_or_else(|| unknown(back.order_id))?;
    match order.status {
        Status::Cancelled { refunded: true, .. } => Ok(Step::Unchanged),
        Status::Cancelled { refunded: false, .. } => Ok(Transition::to(order.money_is_back(context)).into()),
        Status::Pending => {
            let cancelled = order.cancelled(CancellationReason::PaymentFailed, None, context);
            Ok(Transition {
                state: cancelled.state.money_is_back(context),
                ..cancelled
            }
            .into())
        }
        Status::Confirmed { .. } => {
            let detail = format!("{} is not cancelled, yet its payment was given back", order.id);
            Err(Rejection::new("refunded-not-cancelled", detail))
        }
    }
}

fn unknown(id: OrderId) -> Rejection {
    Rejection::new("unknown-order", format!("there is no order {id}"))
}

impl Order {
    fn confirmed(mut self, payment_id: PaymentId, context: &Context) -> Transition<Self> {
        self.status = Status::Confirmed { payment_id };
        self.updated_at = context.now;
        let confirmed = OrderConfirmed {
            order_id: self.id,
            customer_id: self.customer_id,
            payment_id,
            total: self.total,
        };
        Transition::to(self).announce(confirmed)
    }

    fn cancelled(
        mut self,
        reason: CancellationReason,
        code: Option<String>,
        context: &Context,
    ) -> Transition<Self> {
        let cancelled = OrderCancelled {
            order_id: self.id,
            customer_id: self.customer_id,
            total: self.total,
            reason,
            code: code.clone(),
        };
        self.status = Status::Cancelled {
            reason,
            code,
            refunded: false,
        };
        self.updated_at = context.now;
        Transition::to(self).announce(cancelled)
    }

    fn money_is_back(mut self, context: &Context) -> Self {
        if let Status::Cancelled { refunded, .. } = &mut self.status {
            *refunded = true;
            self.updated_at = context.now;
        }
        self
    }
}

impl Line {
    fn of(product: &Product, quantity: i32) -> Self {
        Self {
            sku: product.sku.clone(),
            name: product.name.clone(),
            quantity,
            unit_price: product.unit_price,
        }
    }
}

impl From<&Line> for OrderLine {
    fn from(line: &Line) -> Self {
        Self {
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
        }
    }
}

#[cfg(test)]
mod tests;
