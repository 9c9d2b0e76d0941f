//! An order does not wait for its payment for ever.

use chrono::TimeDelta;
use contracts::events::CancellationReason;
use contracts::{Context, Step};

use super::{Order, Status};

/// Nothing has come of the payment in `patience` from the placing: the order is cancelled. The payment service hears of
/// that, and keeps no money that it takes after all.
#[must_use]
pub fn expire(order: Option<Order>, patience: TimeDelta, context: &Context) -> Step<Order> {
    match order {
        Some(order) if order.status == Status::Pending && order.is_overdue(patience, context) => order
            .cancelled(CancellationReason::PaymentTimeout, None, context)
            .into(),
        // it is young, or it has moved on since it was found
        Some(_) | None => Step::Unchanged,
    }
}

impl Order {
    fn is_overdue(&self, patience: TimeDelta, context: &Context) -> bool {
        context.now.signed_duration_since(self.created_at) >= patience
    }
}
