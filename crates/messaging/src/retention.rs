//! Retention: partitions of `processed_event`, dead letters that were settled and bulk replays that ended long ago.

mod partitions;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Int4, Timestamptz};
use diesel_async::RunQueryDsl;

pub use partitions::{Upkeep, are_partitions_ready, keep_partitions, make_partitions};

use crate::Conn;

/// Forgets dead letters that were settled (replayed, discarded, superseded) more than `days` before `now`, a bounded
/// number at a time. One that an operator is just about to take back is left alone.
///
/// # Errors
/// The database's.
pub async fn forget_letters(conn: &mut Conn, now: DateTime<Utc>, days: i32) -> QueryResult<usize> {
    diesel::sql_query(
        "with old as (select id from dead_letter where state not in ('open', 'replaying')
                and updated_at < $1 - make_interval(days => $2) limit 10000 for update skip locked),
            gone as (delete from work w using old where w.id = old.id and w.state = 'dead')
        delete from dead_letter d using old where d.id = old.id",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Int4, _>(days)
    .execute(conn)
    .await
}

/// Forgets bulk replays that ended more than `days` before `now`, a bounded number at a time. The audit of them is kept.
///
/// # Errors
/// The database's.
pub async fn forget_jobs(conn: &mut Conn, now: DateTime<Utc>, days: i32) -> QueryResult<usize> {
    diesel::sql_query(
        "delete from dead_letter_job where id in (select id from dead_letter_job
            where state <> 'running' and finished_at < $1 - make_interval(days => $2) limit 10000)",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Int4, _>(days)
    .execute(conn)
    .await
}
