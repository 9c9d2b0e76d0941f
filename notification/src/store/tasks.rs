//! What an attempt needs to know.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use messaging::Conn;
use uuid::Uuid;

use super::notifications::{self, Told};
use super::schema::{delivery, notification, recipient, webhook};
use super::webhooks::{self, Keys, Webhook};
use crate::domain::Address;

/// A mail to write.
pub struct EmailTask {
    /// To whom; not known yet, or never.
    pub address: Option<Address>,
    /// Of what.
    pub told: Told,
    /// Since when it is owed.
    pub wanted_at: DateTime<Utc>,
}

/// A message to send to a webhook.
pub struct WebhookTask {
    /// Where to.
    pub webhook: Webhook,
    /// What signs it.
    pub keys: Keys,
    /// Of what; none for a test.
    pub told: Option<Told>,
    /// Since when it is owed.
    pub wanted_at: DateTime<Utc>,
}

/// The mail of that delivery; none when there is no such delivery any more.
///
/// # Errors
/// The database's.
pub async fn email_task(conn: &mut Conn, delivery_id: Uuid) -> QueryResult<Option<EmailTask>> {
    type Found = (DateTime<Utc>, notifications::Row, Option<String>);
    let found: Option<Found> = delivery::table
        .inner_join(notification::table)
        .left_join(recipient::table.on(recipient::user_id.eq(delivery::user_id)))
        .filter(delivery::id.eq(delivery_id))
        .select((
            delivery::created_at,
            notifications::Row::as_select(),
            recipient::email.nullable(),
        ))
        .first(conn)
        .await
        .optional()?;
    let Some((wanted_at, row, email)) = found else {
        return Ok(None);
    };
    Ok(Some(EmailTask {
        address: email.map(Address::new),
        told: row.into_told()?,
        wanted_at,
    }))
}

/// The message of that delivery; none when there is no such delivery any more.
///
/// # Errors
/// The database's.
pub async fn webhook_task(conn: &mut Conn, delivery_id: Uuid) -> QueryResult<Option<WebhookTask>> {
    type Found = (DateTime<Utc>, webhooks::Row, Option<notifications::Row>);
    let found: Option<Found> = delivery::table
        .inner_join(webhook::table)
        .left_join(notification::table)
        .filter(delivery::id.eq(delivery_id))
        .select((
            delivery::created_at,
            webhooks::Row::as_select(),
            Option::<notifications::Row>::as_select(),
        ))
        .first(conn)
        .await
        .optional()?;
    let Some((wanted_at, row, told)) = found else {
        return Ok(None);
    };
    Ok(Some(WebhookTask {
        keys: row.keys(),
        webhook: row.into_webhook(),
        told: told.map(notifications::Row::into_told).transpose()?,
        wanted_at,
    }))
}
