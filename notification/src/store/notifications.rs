//! Notifications' rows: bulk save for the kernel, reads for the endpoints.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contracts::{Envelope, EventId, NoAction, OrderId, UserId};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::result::Error;
use diesel_async::RunQueryDsl;
use messaging::{Change, Conn, Repository, Versioned};
use uuid::Uuid;

use super::schema::notification;
use super::telling::{Channels, tell};
use crate::domain::{Channel, Kind, Notification};

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = notification)]
pub(super) struct Row {
    pub(super) id: Uuid,
    user_id: Uuid,
    order_id: Option<Uuid>,
    kind: String,
    channel: String,
    title: String,
    body: String,
    created_at: DateTime<Utc>,
    read_at: Option<DateTime<Utc>>,
    number: Option<i64>,
    hidden: bool,
    details: Option<serde_json::Value>,
}

/// A notification, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What was told.
    pub notification: Notification,
    /// When its user first read it.
    pub read_at: Option<DateTime<Utc>>,
}

impl Row {
    pub(super) fn of(told: &Notification, number: Option<i64>, hidden: bool) -> Self {
        Self {
            id: told.id.uuid(),
            user_id: told.user_id.uuid(),
            order_id: told.order_id.map(OrderId::uuid),
            kind: told.kind.as_str().to_owned(),
            channel: told.channel.as_str().to_owned(),
            title: told.title.clone(),
            body: told.body.clone(),
            created_at: told.created_at,
            read_at: None,
            number,
            hidden,
            details: serde_json::to_value(&told.details).ok(),
        }
    }

    pub(super) fn into_told(self) -> QueryResult<Told> {
        let kind = Kind::from_name(&self.kind);
        let channel = Channel::from_name(&self.channel);
        let unreadable =
            || Error::DeserializationError(format!("notification {} is of no known kind", self.id).into());
        Ok(Told {
            notification: Notification {
                id: EventId::new(self.id),
                user_id: UserId::new(self.user_id),
                order_id: self.order_id.map(OrderId::new),
                kind: kind.ok_or_else(unreadable)?,
                channel: channel.ok_or_else(unreadable)?,
                title: self.title,
                body: self.body,
                created_at: self.created_at,
                address: None,
                // what was told before details were kept has none
                details: self
                    .details
                    .and_then(|details| serde_json::from_value(details).ok())
                    .unwrap_or_default(),
            },
            read_at: self.read_at,
        })
    }
}

/// Notifications, as the kernel saves them: each event is an aggregate of its own.
#[derive(Debug, Clone, Copy)]
pub struct NotificationRepository(
    /// The ways to users, which a notification takes in the same transaction.
    pub Channels,
);

#[async_trait]
impl Repository for NotificationRepository {
    type State = Notification;
    type Action = NoAction;

    fn aggregate_of(&self, event: &Envelope) -> Uuid {
        event.id.uuid()
    }

    /// A notification never changes, and the kernel hands each event over once: there is nothing to load.
    async fn load(&self, _: &mut Conn, _: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Notification>)>> {
        Ok(Vec::new())
    }

    /// A notification that is there already says the same and may have been read: it stays, and counts as written.
    async fn save(&self, conn: &mut Conn, changes: &[Change<Notification>]) -> QueryResult<usize> {
        let told: Vec<&Notification> = changes.iter().map(|change| &change.state).collect();
        tell(conn, self.0, &told).await?;
        Ok(changes.len())
    }
}

/// Which notifications a list shows.
#[derive(Debug, Clone, Copy)]
pub struct ListFilter {
    /// Only this user's.
    pub user_id: UserId,
    /// Only those about this order.
    pub order_id: Option<OrderId>,
    /// Only those of facts before this one.
    pub before: Option<Uuid>,
}

/// The newest notifications first, `limit` at most.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut Conn, filter: &ListFilter, limit: i64) -> QueryResult<Vec<Told>> {
    let mut query = notification::table
        .filter(notification::user_id.eq(filter.user_id.uuid()))
        .filter(notification::hidden.eq(false))
        .order(notification::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(order) = filter.order_id {
        query = query.filter(notification::order_id.eq(order.uuid()));
    }
    if let Some(before) = filter.before {
        query = query.filter(notification::id.lt(before));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(Row::into_told).collect()
}

/// What a user was told after the notification of that number, with the numbers, the oldest first, `limit` at most.
/// Hidden ones are there as numbers alone.
///
/// # Errors
/// The database's.
pub async fn told_after(
    conn: &mut Conn,
    user: UserId,
    number: i64,
    limit: i64,
) -> QueryResult<Vec<(i64, Option<Told>)>> {
    let rows: Vec<Row> = notification::table
        .filter(notification::user_id.eq(user.uuid()))
        .filter(notification::number.gt(number))
        .order(notification::number)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let number = row.number.unwrap_or_default();
            let told = if row.hidden { None } else { Some(row.into_told()?) };
            Ok((number, told))
        })
        .collect()
}

/// Marks a notification as read; the first time counts. Returns whether `user_id` has such a notification.
///
/// # Errors
/// The database's.
pub async fn mark_read(
    conn: &mut Conn,
    id: EventId,
    user_id: UserId,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let theirs = notification::id
        .eq(id.uuid())
        .and(notification::user_id.eq(user_id.uuid()));
    let marked = diesel::update(notification::table.filter(theirs.and(notification::read_at.is_null())))
        .set(notification::read_at.eq(now))
        .execute(conn)
        .await?;
    if marked > 0 {
        return Ok(true);
    }
    diesel::select(exists(notification::table.filter(theirs)))
        .get_result(conn)
        .await
}
