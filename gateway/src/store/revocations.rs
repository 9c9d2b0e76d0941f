//! Revoked logins: written by whichever instance hears of them, read by all.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::{Envelope, NoAction};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use messaging::{Change, Conn, Repository, Versioned};
use uuid::Uuid;

use super::schema::session_revocation;
use crate::domain::revocation::Revocation;

#[derive(Debug, Insertable)]
#[diesel(table_name = session_revocation)]
struct NewRow {
    event_id: Uuid,
    user_id: Uuid,
    session_id: Option<Uuid>,
    revoked_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    session_id: Option<Uuid>,
    #[diesel(sql_type = Timestamptz)]
    revoked_at: DateTime<Utc>,
}

#[derive(Debug, QueryableByName)]
struct Oldest {
    #[diesel(sql_type = Text)]
    running: String,
}

/// Up to where the rows have been read. The default is the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Default for Mark {
    fn default() -> Self {
        Self("0".to_owned())
    }
}

/// The rows, as the kernel's participant keeps them: each event is an aggregate of its own.
#[derive(Debug, Clone, Copy)]
pub struct RevocationRepository {
    /// How long a token may outlive what ends it.
    pub token_lifetime: Duration,
}

#[async_trait]
impl Repository for RevocationRepository {
    type State = Revocation;
    type Action = NoAction;

    fn aggregate_of(&self, event: &Envelope) -> Uuid {
        event.id.uuid()
    }

    /// A row never changes, and the kernel hands each event over once: there is nothing to load.
    async fn load(&self, _conn: &mut Conn, _ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Revocation>)>> {
        Ok(Vec::new())
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<Revocation>]) -> QueryResult<usize> {
        let lifetime = TimeDelta::from_std(self.token_lifetime).unwrap_or(TimeDelta::MAX);
        let rows: Vec<NewRow> = changes
            .iter()
            .map(|change| NewRow {
                event_id: change.id,
                user_id: change.state.user_id.uuid(),
                session_id: change.state.session_id,
                revoked_at: change.state.revoked_at,
                expires_at: change
                    .state
                    .revoked_at
                    .checked_add_signed(lifetime)
                    .unwrap_or(change.state.revoked_at),
            })
            .collect();
        diesel::insert_into(session_revocation::table)
            .values(&rows)
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        Ok(changes.len())
    }
}

/// Everything that was committed since `mark`, perhaps with some that was before, and the mark to go on from.
///
/// # Errors
/// The database's.
pub async fn since(conn: &mut Conn, mark: &Mark) -> QueryResult<(Vec<Revocation>, Mark)> {
    // asked first: what commits between the two statements is read now and once more
    let oldest: Oldest = diesel::sql_query("select pg_snapshot_xmin(pg_current_snapshot())::text as running")
        .get_result(conn)
        .await?;
    let rows: Vec<Row> = diesel::sql_query(
        "select user_id, session_id, revoked_at from session_revocation \
         where transaction_id >= $1::xid8 and expires_at > now() order by revoked_at",
    )
    .bind::<Text, _>(&mark.0)
    .load(conn)
    .await?;
    Ok((
        rows.into_iter().map(Revocation::from).collect(),
        Mark(oldest.running),
    ))
}

/// Deletes what speaks of no token that is left, `limit` rows at most. Returns how many.
///
/// # Errors
/// The database's.
pub async fn sweep(conn: &mut Conn, limit: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "with expired as (select event_id from session_revocation where expires_at < now()
            limit $1 for update skip locked)
        delete from session_revocation r using expired where r.event_id = expired.event_id",
    )
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await
}

impl From<Row> for Revocation {
    fn from(row: Row) -> Self {
        Self {
            user_id: contracts::UserId::new(row.user_id),
            session_id: row.session_id,
            revoked_at: row.revoked_at,
        }
    }
}
