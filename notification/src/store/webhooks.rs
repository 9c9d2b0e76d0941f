//! Webhooks that users have registered.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::UserId;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use messaging::Conn;
use secrecy::{ExposeSecret, SecretSlice};
use uuid::Uuid;

use super::schema::webhook;
use super::telling::one_at_a_time;
use crate::domain::Kind;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook)]
pub(super) struct Row {
    id: Uuid,
    user_id: Uuid,
    url: String,
    kinds: Option<Vec<String>>,
    description: Option<String>,
    secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_secret_until: Option<DateTime<Utc>>,
    enabled: bool,
    disabled_reason: Option<String>,
    failures: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A registered webhook, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// Where it is. May carry a secret of the user's in its query: it is not printed.
    pub url: String,
    /// Which kinds it hears of; none for all.
    pub kinds: Option<Vec<Kind>>,
    /// Its user's own words.
    pub description: Option<String>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// Why it is not.
    pub disabled_reason: Option<DisabledReason>,
    /// Deliveries given up, with no success in between.
    pub failures: i32,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Why a webhook is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// Its user wants it so.
    User,
    /// Its deliveries failed one after the other.
    Failing,
    /// It answered 410 Gone.
    Gone,
}

/// What signs a webhook's messages.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The secret.
    pub current: SecretSlice<u8>,
    /// The one before it, until it ends.
    pub previous: Option<(SecretSlice<u8>, DateTime<Utc>)>,
}

/// A webhook to register.
pub struct NewWebhook {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// Where it is.
    pub url: String,
    /// Which kinds; none for all.
    pub kinds: Option<Vec<Kind>>,
    /// Its user's own words.
    pub description: Option<String>,
    /// Its secret.
    pub secret: SecretSlice<u8>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What to change of a webhook.
#[derive(Default)]
pub struct WebhookPatch {
    /// Where it is from now on.
    pub url: Option<String>,
    /// Which kinds from now on; `Some(None)` for all.
    pub kinds: Option<Option<Vec<Kind>>>,
    /// Its description from now on.
    pub description: Option<Option<String>>,
    /// Whether it is told anything from now on.
    pub enabled: Option<bool>,
}

/// An enabled webhook and what it hears of.
pub(super) struct Listening {
    pub(super) id: Uuid,
    kinds: Option<Vec<Kind>>,
}

impl Listening {
    pub(super) fn hears(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

impl DisabledReason {
    /// Its name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::User, Self::Failing, Self::Gone]
            .into_iter()
            .find(|reason| reason.as_str() == name)
    }
}

impl Row {
    pub(super) fn keys(&self) -> Keys {
        let previous = self.previous_secret.clone().zip(self.previous_secret_until);
        Keys {
            current: self.secret.clone().into(),
            previous: previous.map(|(secret, until)| (secret.into(), until)),
        }
    }

    pub(super) fn into_webhook(self) -> Webhook {
        Webhook {
            id: self.id,
            user_id: UserId::new(self.user_id),
            url: self.url,
            kinds: self.kinds.map(kinds),
            description: self.description,
            enabled: self.enabled,
            disabled_reason: self
                .disabled_reason
                .as_deref()
                .and_then(DisabledReason::from_name),
            failures: self.failures,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

fn kinds(names: Vec<String>) -> Vec<Kind> {
    names.iter().filter_map(|name| Kind::from_name(name)).collect()
}

fn names(kinds: Vec<Kind>) -> Vec<String> {
    kinds.into_iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// Registers a webhook, in the caller's transaction. None when its user has `max` already.
///
/// # Errors
/// The database's.
pub async fn create_webhook(conn: &mut Conn, new: NewWebhook, max: i64) -> QueryResult<Option<Webhook>> {
    one_at_a_time(conn, new.user_id).await?;
    let there: i64 = webhook::table
        .filter(webhook::user_id.eq(new.user_id.uuid()))
        .count()
        .get_result(conn)
        .await?;
    if there >= max {
        return Ok(None);
    }
    let row = Row {
        id: new.id,
        user_id: new.user_id.uuid(),
        url: new.url,
        kinds: new.kinds.map(names),
        description: new.description,
        secret: new.secret.expose_secret().to_vec(),
        previous_secret: None,
        previous_secret_until: None,
        enabled: true,
        disabled_reason: None,
        failures: 0,
        created_at: new.now,
        updated_at: new.now,
    };
    diesel::insert_into(webhook::table)
        .values(&row)
        .execute(conn)
        .await?;
    Ok(Some(row.into_webhook()))
}

/// A user's webhooks, the newest first; `limit` at most, and those registered before `before`.
///
/// # Errors
/// The database's.
pub async fn webhooks_of(
    conn: &mut Conn,
    user: UserId,
    before: Option<Uuid>,
    limit: i64,
) -> QueryResult<Vec<Webhook>> {
    let mut query = webhook::table
        .filter(webhook::user_id.eq(user.uuid()))
        .order(webhook::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(webhook::id.lt(before));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    Ok(rows.into_iter().map(Row::into_webhook).collect())
}

/// One webhook of the user's.
///
/// # Errors
/// The database's.
pub async fn webhook_of(conn: &mut Conn, id: Uuid, user: UserId) -> QueryResult<Option<Webhook>> {
    let row: Option<Row> = webhook::table
        .filter(webhook::id.eq(id).and(webhook::user_id.eq(user.uuid())))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(Row::into_webhook))
}

/// The same, which nobody else changes before the caller's transaction ends.
///
/// # Errors
/// The database's.
pub async fn webhook_to_change(conn: &mut Conn, id: Uuid, user: UserId) -> QueryResult<Option<Webhook>> {
    let row: Option<Row> = webhook::table
        .filter(webhook::id.eq(id).and(webhook::user_id.eq(user.uuid())))
        .select(Row::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(Row::into_webhook))
}

/// Changes a webhook of the user's, in the caller's transaction; enabled again, it begins without failures. None when
/// there is no such webhook.
///
/// # Errors
/// The database's.
pub async fn patch_webhook(
    conn: &mut Conn,
    id: Uuid,
    user: UserId,
    patch: WebhookPatch,
    now: DateTime<Utc>,
) -> QueryResult<Option<Webhook>> {
    let theirs = webhook::id.eq(id).and(webhook::user_id.eq(user.uuid()));
    let row: Option<Row> = webhook::table
        .filter(theirs)
        .select(Row::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()?;
    let Some(mut row) = row else { return Ok(None) };
    if let Some(url) = patch.url {
        row.url = url;
    }
    if let Some(kinds) = patch.kinds {
        row.kinds = kinds.map(names);
    }
    if let Some(description) = patch.description {
        row.description = description;
    }
    match patch.enabled {
        Some(true) => {
            row.enabled = true;
            row.disabled_reason = None;
            row.failures = 0;
        }
        Some(false) if row.enabled => {
            row.enabled = false;
            row.disabled_reason = Some(DisabledReason::User.as_str().to_owned());
        }
        Some(false) | None => {}
    }
    row.updated_at = now;
    diesel::update(webhook::table.filter(theirs))
        .set((
            webhook::url.eq(&row.url),
            webhook::kinds.eq(&row.kinds),
            webhook::description.eq(&row.description),
            webhook::enabled.eq(row.enabled),
            webhook::disabled_reason.eq(&row.disabled_reason),
            webhook::failures.eq(row.failures),
            webhook::updated_at.eq(row.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(Some(row.into_webhook()))
}

/// Gives a webhook of the user's a new secret; the old one signs besides until `overlap`. False when there is no such
/// webhook.
///
/// # Errors
/// The database's.
pub async fn rotate_secret(
    conn: &mut Conn,
    id: Uuid,
    user: UserId,
    secret: &SecretSlice<u8>,
    overlap: DateTime<Utc>,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let theirs = webhook::id.eq(id).and(webhook::user_id.eq(user.uuid()));
    let rotated = diesel::update(webhook::table.filter(theirs))
        .set((
            webhook::previous_secret.eq(webhook::secret.nullable()),
            webhook::previous_secret_until.eq(overlap),
            webhook::secret.eq(secret.expose_secret()),
            webhook::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(rotated > 0)
}

/// Removes a webhook of the user's and its deliveries. False when there is no such webhook.
///
/// # Errors
/// The database's.
pub async fn delete_webhook(conn: &mut Conn, id: Uuid, user: UserId) -> QueryResult<bool> {
    let theirs = webhook::id.eq(id).and(webhook::user_id.eq(user.uuid()));
    let gone = diesel::delete(webhook::table.filter(theirs))
        .execute(conn)
        .await?;
    Ok(gone > 0)
}

/// The enabled webhooks of `users`.
pub(super) async fn listening(conn: &mut Conn, users: &[Uuid]) -> QueryResult<HashMap<Uuid, Vec<Listening>>> {
    type Found = (Uuid, Uuid, Option<Vec<String>>);
    let rows: Vec<Found> = webhook::table
        .filter(webhook::user_id.eq_any(users).and(webhook::enabled))
        .select((webhook::user_id, webhook::id, webhook::kinds))
        .load(conn)
        .await?;
    let mut of_user: HashMap<Uuid, Vec<Listening>> = HashMap::new();
    for (user, id, names) in rows {
        let kinds = names.map(kinds);
        of_user.entry(user).or_default().push(Listening { id, kinds });
    }
    Ok(of_user)
}

/// What settled deliveries say of their webhooks.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) succeeded: Vec<Uuid>,
    pub(super) gave_up: Vec<Uuid>,
    pub(super) gone: Vec<Uuid>,
}

/// Takes note of how deliveries went; returns those webhooks that are disabled by it.
pub(super) async fn note_health(
    conn: &mut Conn,
    health: &Health,
    disable_after: i32,
    now: DateTime<Utc>,
) -> QueryResult<Vec<Webhook>> {
    let Health {
        succeeded,
        gave_up,
        gone,
    } = health;
    if !succeeded.is_empty() {
        diesel::update(webhook::table.filter(webhook::id.eq_any(succeeded).and(webhook::failures.gt(0))))
            .set((webhook::failures.eq(0), webhook::updated_at.eq(now)))
            .execute(conn)
            .await?;
    }
    // once for each delivery, not for each webhook
    for id in gave_up {
        diesel::update(webhook::table.filter(webhook::id.eq(id)))
            .set((
                webhook::failures.eq(webhook::failures + 1),
                webhook::updated_at.eq(now),
            ))
            .execute(conn)
            .await?;
    }
    let mut disabled = Vec::new();
    for (ids, at_least, reason) in [
        (gave_up, disable_after, DisabledReason::Failing),
        (gone, 0, DisabledReason::Gone),
    ] {
        if ids.is_empty() {
            continue;
        }
        let them = webhook::id
            .eq_any(ids)
            .and(webhook::enabled)
            .and(webhook::failures.ge(at_least));
        let rows: Vec<Row> = diesel::update(webhook::table.filter(them))
            .set((
                webhook::enabled.eq(false),
                webhook::disabled_reason.eq(reason.as_str()),
                webhook::updated_at.eq(now),
            ))
            .returning(Row::as_returning())
            .get_results(conn)
            .await?;
        disabled.extend(rows.into_iter().map(Row::into_webhook));
    }
    Ok(disabled)
}
