//! Deliveries' rows: bulk load and save for the kernel, reads for the endpoints.

use std::collections::HashMap;

use async_trait::async_trait;
use chassis::clock;
use chrono::{DateTime, Utc};
use contracts::{EventId, UserId};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use messaging::{Change, Conn, Repository, Versioned};
use url::Url;
use uuid::Uuid;

use super::schema::{delivery, delivery_attempt, notification};
use super::telling::{Channels, tell};
use super::webhooks::{Health, note_health};
use crate::domain::{Attempted, Delivery, DeliveryAction, Kind, Status, Target, webhook_disabled};

const SENDING: &str = "sending";
const WAITING: &str = "waiting";
const DELIVERED: &str = "delivered";
const FAILED: &str = "failed";
const DROPPED: &str = "dropped";
/// The answer of an endpoint that wants no more.
const GONE: u16 = 410;
/// Attempts that a list shows of each delivery: the latest.
const ATTEMPTS_SHOWN: i32 = 10;

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = delivery)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    notification_id: Option<Uuid>,
    channel: String,
    webhook_id: Option<Uuid>,
    status: String,
    attempts: i32,
    tries: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: i64,
}

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = delivery_attempt)]
struct AttemptRow {
    delivery_id: Uuid,
    number: i32,
    at: DateTime<Utc>,
    duration_ms: i32,
    status: Option<i32>,
    error: Option<String>,
    excerpt: Option<String>,
}

impl Row {
    fn of(change: &Change<Delivery>) -> QueryResult<Self> {
        let state = &change.state;
        let (status, next_attempt_at) = match state.status {
            Status::Sending => (SENDING, None),
            Status::Waiting { until } => (WAITING, Some(until)),
            Status::Delivered => (DELIVERED, None),
            Status::Failed => (FAILED, None),
            Status::Dropped => (DROPPED, None),
        };
        Ok(Self {
            id: state.id,
            user_id: state.user_id.uuid(),
            notification_id: state.notification_id.map(EventId::uuid),
            channel: state.target.way().as_str().to_owned(),
            webhook_id: match state.target {
                Target::Email => None,
                Target::Webhook(id) => Some(id),
            },
            status: status.to_owned(),
            attempts: i32::try_from(state.attempts).map_err(unwritable)?,
            tries: i32::try_from(state.tries).map_err(unwritable)?,
            next_attempt_at,
            created_at: state.created_at,
            updated_at: state.updated_at,
            version: change.version,
        })
    }

    fn into_delivery(self) -> QueryResult<Versioned<Delivery>> {
        let status = match (self.status.as_str(), self.next_attempt_at) {
            (SENDING, _) => Status::Sending,
            (WAITING, Some(until)) => Status::Waiting { until },
            (DELIVERED, _) => Status::Delivered,
            (FAILED, _) => Status::Failed,
            (DROPPED, _) => Status::Dropped,
            (status, _) => {
                return Err(unreadable(format!(
                    "delivery {} is {status:?} without its data",
                    self.id
                )));
            }
        };
        Ok(Versioned {
            version: self.version,
            state: Delivery {
                id: self.id,
                user_id: UserId::new(self.user_id),
                notification_id: self.notification_id.map(EventId::new),
                target: self.webhook_id.map_or(Target::Email, Target::Webhook),
                status,
                attempts: u32::try_from(self.attempts).map_err(unreadable)?,
                tries: u32::try_from(self.tries).map_err(unreadable)?,
                last: None,
                created_at: self.created_at,
                updated_at: self.updated_at,
            },
        })
    }
}

impl AttemptRow {
    fn of(delivery: &Delivery) -> QueryResult<Option<Self>> {
        let Some(last) = &delivery.last else {
            return Ok(None);
        };
        Ok(Some(Self {
            delivery_id: delivery.id,
            number: i32::try_from(last.number).map_err(unwritable)?,
            at: last.at,
            duration_ms: i32::try_from(last.duration_ms).unwrap_or(i32::MAX),
            status: last.status.map(i32::from),
            error: last.error.clone(),
            excerpt: last.excerpt.clone(),
        }))
    }

    fn into_attempted(self) -> QueryResult<Attempted> {
        Ok(Attempted {
            number: u32::try_from(self.number).map_err(unreadable)?,
            at: self.at,
            duration_ms: u32::try_from(self.duration_ms).map_err(unreadable)?,
            status: self.status.map(u16::try_from).transpose().map_err(unreadable)?,
            error: self.error,
            excerpt: self.excerpt,
        })
    }
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::DeserializationError(error.into())
}

fn unwritable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::SerializationError(error.into())
}

/// Deliveries, as the kernel loads and saves them.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryRepository(
    /// The ways to users, which the notice of a disabled webhook takes.
    pub Channels,
);

#[async_trait]
impl Repository for DeliveryRepository {
    type State = Delivery;
    type Action = DeliveryAction;

    async fn load(&self, conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Delivery>)>> {
        let rows: Vec<Row> = delivery::table
            .filter(delivery::id.eq_any(ids))
            .order(delivery::id)
            .select(Row::as_select())
            .for_update()
            .load(conn)
            .await?;
        rows.into_iter()
            .map(|row| Ok((row.id, row.into_delivery()?)))
            .collect()
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<Delivery>]) -> QueryResult<usize> {
        use diesel::query_dsl::methods::FilterDsl;
        let rows = changes.iter().map(Row::of).collect::<QueryResult<Vec<_>>>()?;
        // what goes where never changes
        let saved = diesel::insert_into(delivery::table)
            .values(&rows)
            .on_conflict(delivery::id)
            .do_update()
            .set((
                delivery::status.eq(excluded(delivery::status)),
                delivery::attempts.eq(excluded(delivery::attempts)),
                delivery::tries.eq(excluded(delivery::tries)),
                delivery::next_attempt_at.eq(excluded(delivery::next_attempt_at)),
                delivery::updated_at.eq(excluded(delivery::updated_at)),
                delivery::version.eq(excluded(delivery::version)),
            ))
            .filter((delivery::version + 1).eq(excluded(delivery::version)))
            .execute(conn)
            .await?;
        save_attempts(conn, changes).await?;
        note(conn, self.0, changes).await?;
        Ok(saved)
    }
}

async fn save_attempts(conn: &mut Conn, changes: &[Change<Delivery>]) -> QueryResult<()> {
    let attempts = changes.iter().map(|change| AttemptRow::of(&change.state));
    let attempts: Vec<AttemptRow> = attempts
        .collect::<QueryResult<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    if attempts.is_empty() {
        return Ok(());
    }
    diesel::insert_into(delivery_attempt::table)
        .values(&attempts)
        .on_conflict_do_nothing()
        .execute(conn)
        .await
        .map(drop)
}

/// What became of deliveries says something about their webhooks. A test does not: its user is looking.
async fn note(conn: &mut Conn, channels: Channels, changes: &[Change<Delivery>]) -> QueryResult<()> {
    let mut health = Health::default();
    for Change { state, .. } in changes {
        let (Target::Webhook(id), Some(last)) = (state.target, &state.last) else {
            continue;
        };
        let gone = last.status == Some(GONE);
        match state.status {
            Status::Delivered => health.succeeded.push(id),
            Status::Failed if state.notification_id.is_some() && gone => health.gone.push(id),
            Status::Failed if state.notification_id.is_some() => health.gave_up.push(id),
            Status::Failed | Status::Sending | Status::Waiting { .. } | Status::Dropped => {}
        }
    }
    let now = clock::now();
    let disabled = note_health(conn, &health, channels.disable_after, now).await?;
    let notices: Vec<_> = disabled
        .iter()
        .map(|webhook| {
            let host = Url::parse(&webhook.url).ok();
            let host = host.as_ref().and_then(Url::host_str).unwrap_or("its address");
            webhook_disabled(clock::new_id(), webhook.user_id, host, now)
        })
        .collect();
    tell(conn, channels, &notices.iter().collect::<Vec<_>>()).await
}

/// Deliveries whose wait is over, those that are due the longest first.
///
/// # Errors
/// The database's.
pub async fn due(conn: &mut Conn, now: DateTime<Utc>, limit: i64) -> QueryResult<Vec<Uuid>> {
    delivery::table
        .filter(
            delivery::status
                .eq(WAITING)
                .and(delivery::next_attempt_at.le(now)),
        )
        .order(delivery::next_attempt_at)
        .limit(limit)
        .select(delivery::id)
        .load(conn)
        .await
}

/// Forgets deliveries that ended before `before`, `limit` at most; returns how many.
///
/// # Errors
/// The database's.
pub async fn forget_settled(conn: &mut Conn, before: DateTime<Utc>, limit: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "with old as (select id from delivery
            where status in ('delivered', 'failed', 'dropped') and updated_at < $1
            order by updated_at limit $2 for update skip locked)
        delete from delivery d using old where d.id = old.id",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await
}

/// A delivery with what it carries and its latest attempts, the latest first.
#[derive(Debug, Clone)]
pub struct SentDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// What it tells of; none for a test.
    pub kind: Option<Kind>,
    /// Its latest attempts, the latest first.
    pub attempts: Vec<Attempted>,
}

/// Which deliveries of a webhook a list shows.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryFilter<'a> {
    /// The webhook.
    pub webhook_id: Uuid,
    /// Only those that stand so.
    pub status: Option<&'a str>,
    /// Only those that began before this one.
    pub before: Option<Uuid>,
    /// Only this one.
    pub id: Option<Uuid>,
}

/// Deliveries of a webhook, the newest first, `limit` at most.
///
/// # Errors
/// The database's.
pub async fn list_deliveries(
    conn: &mut Conn,
    filter: &DeliveryFilter<'_>,
    limit: i64,
) -> QueryResult<Vec<SentDelivery>> {
    let mut query = delivery::table
        .left_join(notification::table)
        .filter(delivery::webhook_id.eq(filter.webhook_id))
        .order(delivery::id.desc())
        .limit(limit)
        .select((Row::as_select(), notification::kind.nullable()))
        .into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(delivery::status.eq(status));
    }
    if let Some(before) = filter.before {
        query = query.filter(delivery::id.lt(before));
    }
    if let Some(id) = filter.id {
        query = query.filter(delivery::id.eq(id));
    }
    let rows: Vec<(Row, Option<String>)> = query.load(conn).await?;
    let ids: Vec<Uuid> = rows.iter().map(|(row, _)| row.id).collect();
    let mut attempts = latest_attempts(conn, &ids).await?;
    rows.into_iter()
        .map(|(row, kind)| {
            Ok(SentDelivery {
                attempts: attempts.remove(&row.id).unwrap_or_default(),
                kind: kind.as_deref().and_then(Kind::from_name),
                delivery: row.into_delivery()?.state,
            })
        })
        .collect()
}

/// One delivery of a webhook.
///
/// # Errors
/// The database's.
pub async fn delivery_of(conn: &mut Conn, id: Uuid, webhook_id: Uuid) -> QueryResult<Option<SentDelivery>> {
    let filter = DeliveryFilter {
        webhook_id,
        status: None,
        before: None,
        id: Some(id),
    };
    Ok(list_deliveries(conn, &filter, 1).await?.into_iter().next())
}

async fn latest_attempts(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<HashMap<Uuid, Vec<Attempted>>> {
    let rows: Vec<AttemptRow> = delivery_attempt::table
        .inner_join(delivery::table)
        .filter(delivery_attempt::delivery_id.eq_any(ids))
        .filter(delivery_attempt::number.gt(delivery::attempts - ATTEMPTS_SHOWN))
        .order(delivery_attempt::number.desc())
        .select(AttemptRow::as_select())
        .load(conn)
        .await?;
    let mut of_delivery: HashMap<Uuid, Vec<Attempted>> = HashMap::new();
    for row in rows {
        let id = row.delivery_id;
        of_delivery.entry(id).or_default().push(row.into_attempted()?);
    }
    Ok(of_delivery)
}
