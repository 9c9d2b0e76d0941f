//! Payments and the simulator as the interface shows them.

use chassis::auth::Principal;
use chassis::money::MoneyBody;
use chrono::{DateTime, Utc};
use garde::Validate;
use messaging::Versioned;
use messaging::attempts::ActionAttempts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::examples;
use crate::domain::{DisputeStatus, Funds, Payment, Status};
use crate::provider::{Mode, Setting};
use crate::store::StoredDispute;

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
    /// Whether its money is, or was, asked back at the customer's bank. The status above stays what it is.
    disputes: Vec<DisputeView>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Grows with each change of the payment or a dispute of it; its `ETag` begins with it.
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
    /// A payment, how its charge goes while the provider has not answered, and its disputes.
    pub(crate) fn new(
        stored: Versioned<Payment>,
        charge: Option<&ActionAttempts>,
        disputes: Vec<DisputeView>,
    ) -> Self {
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
            disputes,
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

/// A dispute of a payment: somebody has asked their bank for the money back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Dispute)]
pub(crate) struct DisputeView {
    pub(crate) id: Uuid,
    /// The payment whose money is disputed.
    payment_id: Uuid,
    order_id: Uuid,
    amount: MoneyBody,
    status: DisputeStatusView,
    /// Why, in the provider's words. Only shown to admins.
    #[schema(required, example = "fraudulent")]
    reason: Option<String>,
    /// Until when it can be answered at the provider, where that is known. Only shown to admins.
    #[schema(required)]
    respond_by: Option<DateTime<Utc>>,
    /// Where the money is. Only shown to admins.
    #[schema(required)]
    funds: Option<FundsView>,
    /// The provider's own id of it. Only shown to admins.
    #[schema(required, example = "dp_1")]
    provider_reference: Option<String>,
    /// When the provider opened it.
    opened_at: DateTime<Utc>,
    /// When the provider closed it; null while it is open.
    #[schema(required)]
    closed_at: Option<DateTime<Utc>>,
    /// When this service first heard of it.
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// How far a dispute is. A warning is an inquiry that may become a dispute; no money has moved.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DisputeStatus)]
enum DisputeStatusView {
    /// The inquiry waits for an answer.
    WarningNeedsResponse,
    /// The inquiry was answered.
    WarningUnderReview,
    /// The inquiry ended and did not become a dispute.
    WarningClosed,
    /// The dispute waits for an answer.
    NeedsResponse,
    /// The bank decides.
    UnderReview,
    /// The money stays.
    Won,
    /// The money is taken back.
    Lost,
    /// It was settled before it became a dispute.
    Prevented,
}

/// Where disputed money is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DisputeFunds)]
enum FundsView {
    /// Where it was.
    Untouched,
    /// The provider has taken it out of the account.
    Withdrawn,
    /// The provider has taken it and put it back.
    Reinstated,
}

impl DisputeView {
    /// A dispute as `viewer` may see it: of what the provider and its bank say, a customer sees only how it stands.
    pub(crate) fn new(stored: StoredDispute, viewer: &Principal) -> Self {
        let dispute = stored.dispute;
        let funds = FundsView::from(dispute.funds());
        let is_operator = viewer.is_admin();
        Self {
            id: dispute.id.uuid(),
            payment_id: stored.payment_id.uuid(),
            order_id: stored.order_id.uuid(),
            amount: dispute.amount.into(),
            status: dispute.status.into(),
            reason: Some(dispute.reason).filter(|_| is_operator),
            respond_by: dispute.respond_by.filter(|_| is_operator),
            funds: Some(funds).filter(|_| is_operator),
            provider_reference: Some(dispute.reference).filter(|_| is_operator),
            opened_at: dispute.opened_at,
            closed_at: dispute.closed_at,
            created_at: dispute.created_at,
            updated_at: dispute.updated_at,
        }
    }

    /// Those of one payment.
    pub(crate) fn all(stored: Option<Vec<StoredDispute>>, viewer: &Principal) -> Vec<Self> {
        let stored = stored.unwrap_or_default().into_iter();
        stored.map(|dispute| Self::new(dispute, viewer)).collect()
    }
}

impl From<DisputeStatus> for DisputeStatusView {
    fn from(status: DisputeStatus) -> Self {
        match status {
            DisputeStatus::WarningNeedsResponse => Self::WarningNeedsResponse,
            DisputeStatus::WarningUnderReview => Self::WarningUnderReview,
            DisputeStatus::WarningClosed => Self::WarningClosed,
            DisputeStatus::NeedsResponse => Self::NeedsResponse,
            DisputeStatus::UnderReview => Self::UnderReview,
            DisputeStatus::Won => Self::Won,
            DisputeStatus::Lost => Self::Lost,
            DisputeStatus::Prevented => Self::Prevented,
        }
    }
}

impl From<Funds> for FundsView {
    fn from(funds: Funds) -> Self {
        match funds {
            Funds::Untouched => Self::Untouched,
            Funds::Withdrawn => Self::Withdrawn,
            Funds::Reinstated => Self::Reinstated,
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
