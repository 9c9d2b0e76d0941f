//! Webhooks and their deliveries as the interface shows them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{Attempted, Status};
use crate::routes::view::KindView;
use crate::store::{DisabledReason, SentDelivery, Webhook};

/// A webhook, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Webhook, example = json!({
    "id": "019b7b0f-3a60-7b4e-9d31-5c0f6e2a8b14",
    "url": "https://example.org/hooks/quadrille",
    "kinds": ["order_confirmed", "order_cancelled"],
    "description": "the shop's back office",
    "enabled": true,
    "disabled_reason": null,
    "consecutive_failures": 0,
    "created_at": "2026-01-01T11:56:14.432Z",
    "updated_at": "2026-01-01T11:56:14.432Z",
}))]
pub(crate) struct WebhookView {
    pub(crate) id: Uuid,
    #[schema(example = "https://example.org/hooks/quadrille")]
    url: String,
    /// What it hears of; null for every kind.
    #[schema(required)]
    kinds: Option<Vec<KindView>>,
    #[schema(required)]
    description: Option<String>,
    /// Whether it is told anything.
    enabled: bool,
    /// Why it is not: its user, continued failure, or its own answer 410.
    #[schema(required)]
    disabled_reason: Option<DisabledReasonView>,
    /// Deliveries given up since the last success.
    consecutive_failures: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Why a webhook is not enabled.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDisabledReason)]
enum DisabledReasonView {
    User,
    Failing,
    Gone,
}

/// A webhook's secret. It is shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSecret)]
pub(super) struct SecretView {
    /// `whsec_` and base64, as Standard Webhooks has it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub(super) secret: String,
}

/// A webhook that has just been registered, with its secret. The secret is not shown again.
#[derive(Serialize, ToSchema)]
#[schema(as = NewWebhook, example = json!({
    "id": "019b7b0f-3a60-7b4e-9d31-5c0f6e2a8b14",
    "url": "https://example.org/hooks/quadrille",
    "kinds": ["order_confirmed", "order_cancelled"],
    "description": "the shop's back office",
    "enabled": true,
    "disabled_reason": null,
    "consecutive_failures": 0,
    "created_at": "2026-01-01T11:56:14.432Z",
    "updated_at": "2026-01-01T11:56:14.432Z",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}))]
pub(super) struct NewWebhookView {
    #[serde(flatten)]
    pub(super) webhook: WebhookView,
    #[serde(flatten)]
    pub(super) secret: SecretView,
}

/// One message to a webhook, with its latest attempts.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookDelivery, example = json!({
    "id": "019b7b12-b2d2-7e60-8f4b-1a7c9d0e2f35",
    "notification_id": "019b7b12-b2c8-7c11-b0c4-90e1f1d3a7b2",
    "kind": "order_confirmed",
    "status": "delivered",
    "next_attempt_at": null,
    "attempt_count": 1,
    "attempts": [{
        "number": 1,
        "at": "2026-01-01T12:00:01.098Z",
        "duration_ms": 84,
        "status": 204,
        "error": null,
        "excerpt": null,
    }],
    "created_at": "2026-01-01T12:00:01.074Z",
    "updated_at": "2026-01-01T12:00:01.182Z",
}))]
pub(super) struct DeliveryView {
    /// The header `webhook-id` of each attempt.
    pub(super) id: Uuid,
    /// What it tells of; null for a test.
    #[schema(required)]
    notification_id: Option<Uuid>,
    /// Null for a test.
    #[schema(required)]
    kind: Option<KindView>,
    status: StatusView,
    /// When it is tried again, while it waits.
    #[schema(required)]
    next_attempt_at: Option<DateTime<Utc>>,
    /// Attempts so far.
    attempt_count: u32,
    /// The latest ten, the latest first.
    attempts: Vec<AttemptView>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDeliveryStatus)]
pub(super) enum StatusView {
    /// An attempt is owed.
    Sending,
    /// It is tried again later.
    Waiting,
    /// It arrived.
    Delivered,
    /// Given up.
    Failed,
    /// The webhook was disabled before it was its turn.
    Dropped,
}

/// One attempt.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookAttempt, example = json!({
    "number": 1,
    "at": "2026-01-01T12:00:01.098Z",
    "duration_ms": 84,
    "status": 503,
    "error": "refused-by-receiver",
    "excerpt": "try again later",
}))]
struct AttemptView {
    number: u32,
    at: DateTime<Utc>,
    duration_ms: u32,
    /// The HTTP status, where there was an answer.
    #[schema(required)]
    status: Option<u16>,
    /// Why it failed: `refused-by-receiver`, `redirected`, `gone`, `timeout`, `no-connection`, `tls-failed`,
    /// `no-http-answer` or `address-not-allowed`; null when it did not.
    #[schema(required)]
    error: Option<String>,
    /// How the answer began.
    #[schema(required)]
    excerpt: Option<String>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            kinds: webhook
                .kinds
                .map(|kinds| kinds.into_iter().map(KindView::from).collect()),
            description: webhook.description,
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled_reason.map(|reason| match reason {
                DisabledReason::User => DisabledReasonView::User,
                DisabledReason::Failing => DisabledReasonView::Failing,
                DisabledReason::Gone => DisabledReasonView::Gone,
            }),
            consecutive_failures: webhook.failures,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

impl From<SentDelivery> for DeliveryView {
    fn from(sent: SentDelivery) -> Self {
        let delivery = sent.delivery;
        let (status, next_attempt_at) = match delivery.status {
            Status::Sending => (StatusView::Sending, None),
            Status::Waiting { until } => (StatusView::Waiting, Some(until)),
            Status::Delivered => (StatusView::Delivered, None),
            Status::Failed => (StatusView::Failed, None),
            Status::Dropped => (StatusView::Dropped, None),
        };
        Self {
            id: delivery.id,
            notification_id: delivery.notification_id.map(contracts::EventId::uuid),
            kind: sent.kind.map(KindView::from),
            status,
            next_attempt_at,
            attempt_count: delivery.attempts,
            attempts: sent.attempts.into_iter().map(AttemptView::from).collect(),
            created_at: delivery.created_at,
            updated_at: delivery.updated_at,
        }
    }
}

impl From<Attempted> for AttemptView {
    fn from(attempted: Attempted) -> Self {
        Self {
            number: attempted.number,
            at: attempted.at,
            duration_ms: attempted.duration_ms,
            status: attempted.status,
            error: attempted.error,
            excerpt: attempted.excerpt,
        }
    }
}

impl StatusView {
    /// Its name in rows.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}
