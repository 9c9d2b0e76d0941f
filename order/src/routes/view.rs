//! Orders and products as the interface shows them.

use chassis::money::MoneyBody;
use chrono::{DateTime, Utc};
use contracts::events::CancellationReason;
use messaging::Versioned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::examples;
use crate::domain::{Line, Order, Product, Status};

/// A product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductView {
    /// Stock keeping unit.
    #[schema(example = "KEYBOARD-TKL")]
    sku: String,
    /// What it is called.
    name: String,
    /// The price of one.
    unit_price: MoneyBody,
    /// Whether it can be ordered.
    active: bool,
}

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        Self {
            sku: product.sku,
            name: product.name,
            unit_price: product.unit_price.into(),
            active: product.active,
        }
    }
}

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Order, example = examples::confirmed)]
pub(crate) struct OrderView {
    /// Its id; also the key of every event of its saga.
    pub(crate) id: Uuid,
    customer_id: Uuid,
    status: StatusView,
    items: Vec<ItemView>,
    total: MoneyBody,
    /// Why it was cancelled; null unless it was.
    #[schema(required)]
    cancellation: Option<CancellationView>,
    #[schema(example = "pm_card_visa")]
    payment_method: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Grows with each change; the order's `ETag`.
    version: i64,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OrderStatus)]
pub(crate) enum StatusView {
    /// Waits for its payment.
    Pending,
    /// Paid.
    Confirmed,
    /// Ended without being fulfilled.
    Cancelled,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = OrderItem)]
struct ItemView {
    #[schema(example = "KEYBOARD-TKL")]
    sku: String,
    name: String,
    #[schema(example = 1)]
    quantity: i32,
    /// The price of one when it was ordered.
    unit_price: MoneyBody,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Cancellation, example = json!({"reason": "payment_failed", "code": "card_declined", "refunded": false}))]
struct CancellationView {
    /// `payment_failed`, `customer_request` or `payment_timeout`.
    reason: String,
    /// The payment's failure code, when that was the reason.
    #[schema(required)]
    code: Option<String>,
    /// Whether money that had been taken has been given back.
    refunded: bool,
}

/// Why orders are cancelled.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CancellationReason)]
pub(crate) enum ReasonView {
    /// The provider refused.
    PaymentFailed,
    /// The customer, or an admin for them, took it back.
    CustomerRequest,
    /// The payment did not come in time.
    PaymentTimeout,
}

impl ReasonView {
    /// Its name in queries and rows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PaymentFailed => CancellationReason::PaymentFailed,
            Self::CustomerRequest => CancellationReason::CustomerRequest,
            Self::PaymentTimeout => CancellationReason::PaymentTimeout,
        }
        .as_str()
    }
}

impl StatusView {
    /// Its name in queries and rows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<Versioned<Order>> for OrderView {
    fn from(stored: Versioned<Order>) -> Self {
        let order = stored.state;
        let (status, cancellation) = match order.status {
            Status::Pending => (StatusView::Pending, None),
            Status::Confirmed { .. } => (StatusView::Confirmed, None),
            Status::Cancelled {
                reason,
                code,
                refunded,
            } => {
                let reason = reason.as_str().to_owned();
                (
                    StatusView::Cancelled,
                    Some(CancellationView {
                        reason,
                        code,
                        refunded,
                    }),
                )
            }
        };
        Self {
            id: order.id.uuid(),
            customer_id: order.customer_id.uuid(),
            status,
            items: order.lines.into_iter().map(ItemView::from).collect(),
            total: order.total.into(),
            cancellation,
            payment_method: order.payment_method,
            created_at: order.created_at,
            updated_at: order.updated_at,
            version: stored.version,
        }
    }
}

impl From<Line> for ItemView {
    fn from(line: Line) -> Self {
        Self {
            sku: line.sku,
            name: line.name,
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
        }
    }
}
