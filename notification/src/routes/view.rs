//! Notifications as the interface shows them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{Channel, Kind};
use crate::store::Told;

/// A notification.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Notification, example = json!({
    "id": "019b7b12-b2c8-7c11-b0c4-90e1f1d3a7b2",
    "order_id": "019b7b12-b000-7408-a20e-0543f83c7e68",
    "kind": "order_confirmed",
    "channel": "in_app",
    "title": "Order confirmed",
    "body": "Your order for €129.00 is paid and confirmed.",
    "created_at": "2026-01-01T12:00:01.062Z",
    "read_at": null,
}))]
pub(crate) struct NotificationView {
    pub(crate) id: Uuid,
    /// The order it is about; null when it is about the account.
    #[schema(required)]
    order_id: Option<Uuid>,
    kind: KindView,
    channel: ChannelView,
    /// A few words.
    title: String,
    /// A sentence or two.
    body: String,
    /// When that happened which it tells of.
    created_at: DateTime<Utc>,
    /// When it was first marked as read.
    #[schema(required)]
    read_at: Option<DateTime<Utc>>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NotificationKind)]
pub(crate) enum KindView {
    Welcome,
    OrderCreated,
    PaymentCompleted,
    OrderConfirmed,
    PaymentFailed,
    OrderCancelled,
    PaymentRefunded,
    WebhookDisabled,
}

/// The way a notification takes to its user.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NotificationChannel)]
enum ChannelView {
    InApp,
}

impl From<Told> for NotificationView {
    fn from(told: Told) -> Self {
        let notification = told.notification;
        Self {
            id: notification.id.uuid(),
            order_id: notification.order_id.map(contracts::OrderId::uuid),
            kind: notification.kind.into(),
            channel: notification.channel.into(),
            title: notification.title,
            body: notification.body,
            created_at: notification.created_at,
            read_at: told.read_at,
        }
    }
}

impl From<Kind> for KindView {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Welcome => Self::Welcome,
            Kind::OrderCreated => Self::OrderCreated,
            Kind::PaymentCompleted => Self::PaymentCompleted,
            Kind::OrderConfirmed => Self::OrderConfirmed,
            Kind::PaymentFailed => Self::PaymentFailed,
            Kind::OrderCancelled => Self::OrderCancelled,
            Kind::PaymentRefunded => Self::PaymentRefunded,
            Kind::WebhookDisabled => Self::WebhookDisabled,
        }
    }
}

impl From<KindView> for Kind {
    fn from(kind: KindView) -> Self {
        match kind {
            KindView::Welcome => Self::Welcome,
            KindView::OrderCreated => Self::OrderCreated,
            KindView::PaymentCompleted => Self::PaymentCompleted,
            KindView::OrderConfirmed => Self::OrderConfirmed,
            KindView::PaymentFailed => Self::PaymentFailed,
            KindView::OrderCancelled => Self::OrderCancelled,
            KindView::PaymentRefunded => Self::PaymentRefunded,
            KindView::WebhookDisabled => Self::WebhookDisabled,
        }
    }
}

impl From<Channel> for ChannelView {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::InApp => Self::InApp,
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::events::OrderConfirmed;
    use contracts::{Currency, Money, OrderId, PaymentId, UserId};
    use serde_json::to_value;
    use utoipa::PartialSchema;
    use uuid::Uuid;

    use super::NotificationView;
    use crate::domain::Wording;

    #[test]
    fn the_example_is_what_a_user_is_notified_of() {
        let schema = to_value(NotificationView::schema()).unwrap();
        let example = &schema["example"];
        let id = |member: &str| example[member].as_str().unwrap().parse::<Uuid>().unwrap();
        let confirmed = OrderConfirmed {
            order_id: OrderId::new(id("order_id")),
            customer_id: UserId::new(Uuid::nil()),
            payment_id: PaymentId::new(Uuid::nil()),
            total: Money::new(12_900, Currency::EUR),
        };
        assert_eq!(example["title"], confirmed.title());
        assert_eq!(example["body"], confirmed.body());
    }
}
