//! Facts of the payment service.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{DisputeId, OrderId, PaymentId, UserId};
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

/// Somebody has asked their bank for the money of a payment back: the provider opened a dispute. The payment's own status
/// does not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentDisputed {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order it pays for.
    pub order_id: OrderId,
    /// Who paid.
    pub customer_id: UserId,
    /// The dispute.
    pub dispute_id: DisputeId,
    /// How much is disputed.
    pub amount: Money,
    /// Why, in the provider's words: `fraudulent`, `product_not_received`.
    pub reason: String,
    /// The provider's own id of the dispute.
    pub provider_reference: String,
}

/// A dispute was decided, or ended without a decision. A decision that is reversed later is published again with the other
/// outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentDisputeClosed {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order it pays for.
    pub order_id: OrderId,
    /// Who paid.
    pub customer_id: UserId,
    /// The dispute.
    pub dispute_id: DisputeId,
    /// How much was disputed; when it is lost, that much was taken back.
    pub amount: Money,
    /// How it ended.
    pub outcome: DisputeOutcome,
    /// The provider's own id of the dispute.
    pub provider_reference: String,
}

/// How a dispute ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeOutcome {
    /// The money stays with the merchant.
    Won,
    /// The money was taken back.
    Lost,
    /// An inquiry ended without becoming a dispute; no money moved.
    WarningClosed,
    /// It was prevented from becoming a dispute; no money moved.
    Prevented,
}

impl DisputeOutcome {
    /// The outcome as it is written on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::WarningClosed => "warning_closed",
            Self::Prevented => "prevented",
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Won, Self::Lost, Self::WarningClosed, Self::Prevented]
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}
