//! Facts of the order service.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{OrderId, PaymentId, UserId};
use crate::money::Money;

/// An order was placed and waits for its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderCreated {
    /// The order.
    pub order_id: OrderId,
    /// Who placed it.
    pub customer_id: UserId,
    /// What was ordered, at the prices of that moment.
    pub items: Vec<OrderLine>,
    /// What must be paid: the sum of all lines.
    pub total: Money,
    /// The payment method token that the customer chose.
    pub payment_method: String,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderLine {
    /// The product's stock keeping unit.
    pub sku: String,
    /// The product's name when it was ordered.
    pub name: String,
    /// How many; at least 1.
    pub quantity: i32,
    /// The price of one when it was ordered.
    pub unit_price: Money,
}

/// An order was paid and will be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: OrderId,
    /// Who placed it.
    pub customer_id: UserId,
    /// The payment that covers it.
    pub payment_id: PaymentId,
    /// What was paid.
    pub total: Money,
}

/// An order ended without being fulfilled; money taken for it must be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// Who placed it.
    pub customer_id: UserId,
    /// What was or would have been paid.
    pub total: Money,
    /// Why it ended.
    pub reason: CancellationReason,
    /// More about the reason: the failure code of the payment.
    pub code: Option<String>,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancellationReason {
    /// Its payment was refused.
    PaymentFailed,
    /// The customer asked for it.
    CustomerRequest,
    /// No answer about its payment came before the deadline.
    PaymentTimeout,
}

impl CancellationReason {
    /// The reason as it is written on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentFailed => "payment_failed",
            Self::CustomerRequest => "customer_request",
            Self::PaymentTimeout => "payment_timeout",
        }
    }
}
