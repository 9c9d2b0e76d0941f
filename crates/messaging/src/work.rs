//! The work table: parked messages, actions to perform, and dead letters.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Bytea, Int4, Int8, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::headers::Headers;
use crate::new_work::{NewAction, NewWork};
use crate::record::{Origin, Record};
use crate::retry::{Fate, RETRY_COUNT, fate};
use crate::schema::work;
use crate::{Conn, Failure, MessagingSettings};
use chassis::clock;

pub(crate) const MESSAGE: &str = "message";
pub(crate) const ACTION: &str = "action";
pub(crate) const PUBLICATION: &str = "publication";
pub(crate) const PENDING: &str = "pending";
pub(crate) const DEAD: &str = "dead";

/// Rows in one INSERT at most: up to twenty values each, of the 65,535 parameters that PostgreSQL allows.
const INSERT_CHUNK: usize = 2_000;

const INSERT_ACTIONS: &str =
    "insert into work (kind, id, name, key, event_id, headers, payload, next_attempt_at,
        origin_topic, origin_partition, origin_offset, origin_timestamp)
    select 'action', * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// A row as it stands.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = work)]
pub(crate) struct WorkRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) event_id: Option<Uuid>,
    pub(crate) headers: serde_json::Value,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) attempts: i32,
    pub(crate) origin_topic: Option<String>,
    pub(crate) origin_partition: Option<i32>,
    pub(crate) origin_offset: Option<i64>,
    pub(crate) origin_timestamp: Option<DateTime<Utc>>,
    pub(crate) first_failed_at: Option<DateTime<Utc>>,
    pub(crate) last_failed_at: Option<DateTime<Utc>>,
}

impl WorkRow {
    pub(crate) fn headers(&self) -> Headers {
        serde_json::from_value(self.headers.clone()).unwrap_or_default()
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        Some(Origin {
            topic: self.origin_topic.clone()?,
            partition: self.origin_partition?,
            offset: self.origin_offset?,
            timestamp: self.origin_timestamp,
        })
    }

    /// A parked message as it came from Kafka.
    pub(crate) fn record(&self) -> Record {
        Record {
            origin: self.origin().unwrap_or_else(|| Origin {
                topic: self.name.clone(),
                partition: -1,
                offset: -1,
                timestamp: None,
            }),
            key: self.key.clone(),
            headers: self.headers(),
            payload: self.payload.clone(),
        }
    }
}

/// Writes rows in their order; a message that is there already (redelivered) is passed over. Returns the ids of
/// the rows that were written.
pub(crate) async fn insert(conn: &mut Conn, rows: &[NewWork]) -> QueryResult<Vec<Uuid>> {
    if let [row] = rows {
        // unlike one of many rows, this statement is prepared once
        return diesel::insert_into(work::table)
            .values(row)
            .on_conflict_do_nothing()
            .returning(work::id)
            .get_results(conn)
            .await;
    }
    let mut written = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(INSERT_CHUNK) {
        let ids: Vec<Uuid> = diesel::insert_into(work::table)
            .values(chunk)
            .on_conflict_do_nothing()
            .returning(work::id)
            .get_results(conn)
            .await?;
        written.extend(ids);
    }
    Ok(written)
}

/// Writes actions. One array a column: the statement stays small, however many rows there are.
pub(crate) async fn insert_actions(conn: &mut Conn, actions: Vec<NewAction>) -> QueryResult<()> {
    if actions.is_empty() {
        return Ok(());
    }
    let rows: Vec<NewWork> = actions.into_iter().map(|action| action.0).collect();
    let all = rows.as_slice();
    diesel::sql_query(INSERT_ACTIONS)
        .bind::<Array<SqlUuid>, _>(column(all, |row| row.id))
        .bind::<Array<Text>, _>(column(all, |row| &row.name))
        .bind::<Array<Nullable<Bytea>>, _>(column(all, |row| row.key.as_deref()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(all, |row| row.event_id))
        .bind::<Array<Jsonb>, _>(column(all, |row| &row.headers))
        .bind::<Array<Nullable<Bytea>>, _>(column(all, |row| row.payload.as_deref()))
        .bind::<Array<Timestamptz>, _>(column(all, |row| row.next_attempt_at))
        .bind::<Array<Nullable<Text>>, _>(column(all, |row| row.origin_topic.as_deref()))
        .bind::<Array<Nullable<Int4>>, _>(column(all, |row| row.origin_partition))
        .bind::<Array<Nullable<Int8>>, _>(column(all, |row| row.origin_offset))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(all, |row| row.origin_timestamp))
        .execute(conn)
        .await
        .map(drop)
}

fn column<'a, T>(rows: &'a [NewWork], value: impl FnMut(&'a NewWork) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// Which of `keys` have messages waiting.
pub(crate) async fn keys_waiting(conn: &mut Conn, keys: &[Vec<u8>]) -> QueryResult<Vec<Vec<u8>>> {
    let found: Vec<Option<Vec<u8>>> = work::table
        .filter(
            work::kind
                .eq(MESSAGE)
                .and(work::state.eq(PENDING))
                .and(work::key.eq_any(keys)),
        )
        .select(work::key)
        .distinct()
        .load(conn)
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Whether anything of `kind` is pending, now or later.
pub(crate) async fn is_owed(conn: &mut Conn, kind: &str) -> QueryResult<bool> {
    let pending = work::table.filter(work::kind.eq(kind).and(work::state.eq(PENDING)));
    diesel::select(diesel::dsl::exists(pending))
        .get_result(conn)
        .await
}

/// Deletes rows that are done.
pub(crate) async fn delete(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<usize> {
    diesel::delete(work::table.filter(work::id.eq_any(ids)))
        .execute(conn)
        .await
}

/// Records one more failed attempt of a claimed row. Returns whether it died of it.
pub(crate) async fn record_failure(
    conn: &mut Conn,
    row: &WorkRow,
    failure: &Failure,
    keeps_trying: bool,
    settings: &MessagingSettings,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let attempts = row.attempts.saturating_add(1);
    let (state, at, retries) = match fate(settings, attempts, keeps_trying, now) {
        Fate::Retry { at } => (PENDING, at, attempts),
        Fate::Dead => (DEAD, now, row.attempts),
    };
    let mut headers = row.headers();
    headers.set(RETRY_COUNT, retries.to_string());
    diesel::update(work::table.find(row.id))
        .set((
            work::state.eq(state),
            work::attempts.eq(attempts),
            work::next_attempt_at.eq(at),
            work::claim.eq(None::<Uuid>),
            work::headers.eq(headers.to_json()),
            work::error_class.eq(&failure.class),
            work::error_message.eq(failure.capped(settings.error_max_chars)),
            work::error_fingerprint.eq(failure.fingerprint(&row.name)),
            work::first_failed_at.eq(row.first_failed_at.unwrap_or(now)),
            work::last_failed_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(state == DEAD)
}

/// A replayed publication that Kafka has refused again: dead once more. Returns 0 when there is no such row.
pub(crate) async fn refuse_again(
    conn: &mut Conn,
    id: Uuid,
    topic: &str,
    failure: &Failure,
    settings: &MessagingSettings,
) -> QueryResult<usize> {
    let waits = work::id
        .eq(id)
        .and(work::kind.eq(PUBLICATION))
        .and(work::state.eq(PENDING));
    diesel::update(work::table.filter(waits))
        .set((
            work::state.eq(DEAD),
            work::attempts.eq(work::attempts + 1),
            work::error_class.eq(&failure.class),
            work::error_message.eq(failure.capped(settings.error_max_chars)),
            work::error_fingerprint.eq(failure.fingerprint(topic)),
            work::last_failed_at.eq(clock::now()),
        ))
        .execute(conn)
        .await
}

/// Gives rows back without counting the attempt that has just failed, where they are still under one of the claims
/// `tokens`.
pub(crate) async fn release(
    conn: &mut Conn,
    tokens: &[Uuid],
    ids: &[Uuid],
    at: DateTime<Utc>,
) -> QueryResult<usize> {
    diesel::update(work::table.filter(work::id.eq_any(ids).and(work::claim.eq_any(tokens))))
        .set((
            work::claim.eq(None::<Uuid>),
            work::next_attempt_at.eq(at),
            work::last_failed_at.eq(clock::now()),
        ))
        .execute(conn)
        .await
}
