//! What admins do with their webhooks is in the audit, as whatever else they do.

use chassis::auth::Principal;
use messaging::Conn;
use messaging::operations::{self, Deed};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::store::Webhook;

/// Writes down what the caller did to the webhook `id`, if they are an admin; in the transaction of what was done.
pub(super) async fn record(
    conn: &mut Conn,
    caller: &Principal,
    action: &str,
    id: Uuid,
    before: Option<&Webhook>,
    after: Option<&Webhook>,
) -> Result<(), diesel::result::Error> {
    if !caller.is_admin() {
        return Ok(());
    }
    let deed = Deed {
        actor: caller.user_id.uuid(),
        action,
        resource: &format!("/notifications/webhooks/{id}"),
        before: before.map(told),
        after: after.map(told),
    };
    operations::record(conn, deed).await
}

/// Without its secret, and without what of its URL may be one.
fn told(webhook: &Webhook) -> Value {
    let origin = Url::parse(&webhook.url).map(|url| url.origin().ascii_serialization());
    let kinds = webhook.kinds.as_ref();
    json!({
        "origin": origin.ok(),
        "kinds": kinds.map(|kinds| kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()),
        "description": webhook.description,
        "enabled": webhook.enabled,
    })
}
