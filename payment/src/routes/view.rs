//! Payments and the simulator as the interface shows them.

use chassis::money::MoneyBody;
use chrono::{DateTime, Utc};
use garde::Validate;
use messaging::Versioned;
use messaging::attempts::ActionAttempts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::examples;
use crate::domain::{Payment, Status};
use crate::provider::{Mode, Setting};

/// The payment of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Payment, example = examples::completed)]
pub(crate) struct PaymentView {
    pub(crate) id: Uuid,
    order_id: Uuid,
    customer_id: Uuid,
    amount: MoneyBody,
    status: StatusView,
    #[schema(example = "simulated")]
    provider: String,
    /// The provider's own id of the charge, once it has taken the money.
    #[schema(required)]
    provider_reference: Option<String>,
    /// The provider's own id of the refund, once the money is back.
    #[schema(required)]
    refund_reference: Option<String>,
    /// Why the provider refused, when it did.
    #[schema(required)]
    failure_code: Option<String>,
    /// Empty when the order was cancelled before the payment service heard of it.
    payment_method: String,
    /// How often the provider was asked to charge, failed attempts included.
    attempts: u32,
    /// When it is asked again, while it has not answered; null while it is being asked, when it has answered, and where the
    /// charge was given up and waits for an operator.
    #[schema(required)]
    next_attempt_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Grows with each change of the payment; its `ETag` begins with it.
    version: i64,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PaymentStatus)]
pub(crate) enum StatusView {
    /// The provider has not answered yet.
    Processing,
    /// The money is taken.
    Completed,
    /// The provider refused.
    Failed,
    /// The order was cancelled before any money was taken.
    Voided,
    /// The money is on its way back.
    Refunding,
    /// The money is back.
    Refunded,
}

impl StatusView {
    /// Its name in queries and rows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Voided => "voided",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }
}

impl PaymentView {
    /// A payment, and how its charge goes while the provider has not answered.
    pub(crate) fn new(stored: Versioned<Payment>, charge: Option<&ActionAttempts>) -> Self {
        let payment = stored.state;
        let charge = charge.filter(|_| matches!(payment.status, Status::Processing { .. }));
        let (status, provider_reference, refund_reference, failure_code) = match payment.status {
            Status::Processing { .. } => (StatusView::Processing, None, None, None),
            Status::Completed { reference } => (StatusView::Completed, Some(reference), None, None),
            Status::Failed { code } => (StatusView::Failed, None, None, Some(code)),
            Status::Voided => (StatusView::Voided, None, None, None),
            Status::Refunding { reference } => (StatusView::Refunding, Some(reference), None, None),
            Status::Refunded {
                reference,
                refund_reference,
            } => (
                StatusView::Refunded,
                Some(reference),
                Some(refund_reference),
                None,
            ),
        };
        Self {
            id: payment.id.uuid(),
            order_id: payment.order_id.uuid(),
            customer_id: payment.customer_id.uuid(),
            amount: payment.amount.into(),
            status,
            provider: payment.provider,
            provider_reference,
            refund_reference,
            failure_code,
            payment_method: payment.payment_method,
            attempts: charge.map_or(payment.attempts, |charge| charge.failed.max(payment.attempts)),
            next_attempt_at: charge.and_then(|charge| charge.next_at),
            created_at: payment.created_at,
            updated_at: payment.updated_at,
            version: stored.version,
        }
    }

    /// Changes whenever the view does.
    pub(crate) fn tag(&self) -> String {
        let next = self.next_attempt_at.map_or(0, |at| at.timestamp_micros());
        match (&self.status, next, self.attempts) {
            (StatusView::Processing, 0, 0) => self.version.to_string(),
            (StatusView::Processing, next, attempts) => format!("{}-{attempts}-{next}", self.version),
            _ => self.version.to_string(),
        }
    }
}

/// How the simulated provider is forced to behave.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Simulator, example = json!({"mode": "decline", "remaining": 1, "latency_ms": 0}))]
pub(crate) struct SimulatorBody {
    /// How the next payments end, whatever their method.
    #[garde(skip)]
    mode: Mode,
    /// How many payments: one when it is left out; null: all, until this is changed; 0: none, payments behave by their
    /// method.
    #[garde(range(max = 1_000_000))]
    #[serde(default = "one")]
    #[schema(maximum = 1_000_000, default = 1)]
    remaining: Option<u32>,
    /// How late the answer to each charge is, in milliseconds. A charge that is asked for again answers at once.
    #[garde(range(max = 60_000))]
    #[serde(default)]
    #[schema(maximum = 60_000)]
    latency_ms: u32,
}

/// To force one payment is the usual request, and to force all of them must be asked for: left in force by mistake it
/// declines every customer.
#[allow(
    clippy::unnecessary_wraps,
    reason = "null is another value than one that is left out"
)]
const fn one() -> Option<u32> {
    Some(1)
}

impl SimulatorBody {
    pub(crate) fn to_setting(&self) -> Setting {
        Setting {
            mode: self.mode,
            remaining: self.remaining,
            latency_ms: self.latency_ms,
        }
    }
}

impl From<Setting> for SimulatorBody {
    fn from(setting: Setting) -> Self {
        Self {
            mode: setting.mode,
            remaining: setting.remaining,
            latency_ms: setting.latency_ms,
        }
    }
}
