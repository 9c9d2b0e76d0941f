//! Diesel: rows, and what is asked of them.

mod deliveries;
pub mod idempotency;
mod notifications;
mod preferences;
#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod schema;
mod stream;
mod tasks;
mod telling;
mod webhooks;

pub use deliveries::{
    DeliveryFilter, DeliveryRepository, SentDelivery, delivery_of, due, forget_settled, list_deliveries,
};
pub use notifications::{ListFilter, NotificationRepository, Told, list, mark_read, told_after};
pub use preferences::{Preference, preferences_of, put_preferences};
pub use stream::last_numbers;
pub use tasks::{EmailTask, WebhookTask, email_task, webhook_task};
pub use telling::Channels;
pub use webhooks::{
    DisabledReason, Keys, NewWebhook, Webhook, WebhookPatch, create_webhook, delete_webhook, patch_webhook,
    rotate_secret, webhook_of, webhook_to_change, webhooks_of,
};
