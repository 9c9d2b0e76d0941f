//! Facts of the payment service.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{OrderId, PaymentId, UserId};
use crate::money::Money;

/// The provider captured the money of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentCompleted {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order it pays for.
    pub order_id: OrderId,
    /// Who pays.
    pub customer_id: UserId,
    /// What was captured.
    pub amount: Money,
    /// The provider's name.
    pub provider: String,
    /// The provider's own id of the charge.
    pub provider_reference: String,
}

/// The provider refused the payment for good; no money was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentFailed {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order that stays unpaid.
    pub order_id: OrderId,
    /// Who should have paid.
    pub customer_id: UserId,
    /// What was asked for.
    pub amount: Money,
    /// Why, in the provider's words: `card_declined`, `insufficient_funds`.
    pub failure_code: String,
}

/// A captured payment was given back in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentRefunded {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order it had paid for.
    pub order_id: OrderId,
    /// Who gets the money back.
    pub customer_id: UserId,
    /// What was given back.
    pub amount: Money,
    /// The provider's own id of the refund.
    pub refund_reference: String,
}
