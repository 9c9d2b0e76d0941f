//! What is forgotten in time: partitions of `processed_event`, one a day, made ahead and dropped when they are past
//! retention, and dead letters and bulk replays that ended long ago.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Int4, Text, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use tracing::info;
use uuid::{Builder, Uuid};

use crate::Conn;

/// Partitions are made this far ahead, so that a job that is late for days does no harm.
const DAYS_AHEAD: u64 = 7;
/// Serialises the job between replicas; any number that nothing else uses.
const JOB_LOCK: i64 = 0x7175_6164_0002;

/// Makes the partitions from `retention_days` ago to a week ahead, and drops older ones. Safe to run anywhere at any
/// time. A partition is kept for a day longer than it is asked for: an event that was just young enough when it was
/// looked at still finds its place.
///
/// # Errors
/// The database's.
pub async fn keep_partitions(conn: &mut Conn, now: DateTime<Utc>, retention_days: u32) -> QueryResult<()> {
    let today = now.date_naive();
    let first = today
        .checked_sub_days(Days::new(u64::from(retention_days)))
        .unwrap_or(today);
    let last = today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today);
    conn.transaction(async |conn| {
        diesel::sql_query(format!("select pg_advisory_xact_lock({JOB_LOCK})"))
            .execute(conn)
            .await?;
        let existing = partitions(conn).await?;
        for day in first.iter_days().take_while(|day| *day <= last) {
            if !existing.contains(&name(day)) {
                conn.batch_execute(&create(day)).await?;
            }
        }
        let oldest = name(first.pred_opt().unwrap_or(first));
        for expired in existing.iter().filter(|found| **found < oldest) {
            conn.batch_execute(&format!("drop table {expired}")).await?;
            info!(partition = %expired, "dropped ids of processed events past retention");
        }
        Ok(())
    })
    .await
}

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

async fn partitions(conn: &mut Conn) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Partition {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let found: Vec<Partition> = diesel::sql_query(
        "select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'processed_event'::regclass",
    )
    .load(conn)
    .await?;
    Ok(found.into_iter().map(|partition| partition.name).collect())
}

/// Names sort like days.
fn name(day: NaiveDate) -> String {
    format!("processed_event_{}", day.format("%Y%m%d"))
}

fn create(day: NaiveDate) -> String {
    let next = day.succ_opt().unwrap_or(day);
    format!(
        "create table {} partition of processed_event for values from ('{}') to ('{}')",
        name(day),
        floor(day),
        floor(next)
    )
}

/// The smallest `UUIDv7` of a day; without version and variant, which would exclude ids of its first millisecond.
fn floor(day: NaiveDate) -> Uuid {
    let millis = u64::try_from(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()).unwrap_or_default();
    Builder::from_u128(u128::from(millis) << 80).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::clock;

    #[test]
    fn a_fresh_id_lies_in_the_partition_of_today() {
        let id = clock::new_id();
        let today = crate::dedupe::time_of(id).unwrap().date_naive();
        assert!(floor(today) <= id && id < floor(today.succ_opt().unwrap()));
    }
}
