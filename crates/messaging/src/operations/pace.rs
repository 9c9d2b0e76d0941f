//! The steps of bulk replays: paced, bounded, a transaction a letter, by whichever replica is there.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Int4, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use super::act::{Act, apply};
use super::job::{Count, Found, end};
use super::{Mandate, OperationError};
use crate::Conn;
use crate::kernel::Core;

/// Letters that a filter ($1 fingerprint, $2 key, $3 name) means.
pub(super) const MEANT: &str =
    "state = 'open' and ($1 is null or error_fingerprint = $1) and ($2 is null or key = $2)
    and ($3 is null or name = $3)";
/// Of those, the ones that were there when the job $4 began and that it has not sent round yet.
const LEFT: &str = "job_id is distinct from $4
    and updated_at <= (select created_at from dead_letter_job where id = $4)
    and exists (select from work w where w.id = dead_letter.id and w.state = 'dead')";
/// Letters of a job that have failed again; the first attempt counts, or a fast job would be over before the last one.
pub(super) const FAILED: &str =
    "(select count(*) from dead_letter d where job_id = $1 and state in ('open', 'replaying')
    and (state = 'open' or exists (select from work w where w.id = d.id and w.attempts > 0)))";
/// Letters of a job that have been sent round, with no end yet.
const UNDER_WAY: &str = "(select count(*) from dead_letter where job_id = $1 and state = 'replaying')";

/// Letters of a job.
#[derive(QueryableByName)]
struct Standing {
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    under_way: i64,
}

#[derive(QueryableByName)]
struct Job {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    fingerprint: Option<String>,
    #[diesel(sql_type = Nullable<Bytea>)]
    key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = SqlUuid)]
    actor: Uuid,
    #[diesel(sql_type = Text)]
    reason: String,
}

impl Core {
    /// Works on whatever bulk replays are due, until the process stops.
    pub(crate) async fn replay_jobs(&self, stop: CancellationToken) {
        let mut polls = tokio::time::interval(Duration::from_millis(self.settings.replay_poll_ms.max(1)));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = polls.tick() => {}
            }
            loop {
                match self.replay_one().await {
                    Ok(true) if !stop.is_cancelled() => {}
                    Ok(_) => break,
                    Err(error) => {
                        debug!(%error, "a bulk replay is put off");
                        break;
                    }
                }
            }
        }
    }

    /// One step of one job. Returns whether there was one.
    async fn replay_one(&self) -> Result<bool, OperationError> {
        let mut conn = self.connection().await?;
        let worked = conn.transaction(async |conn| step(self, conn).await).await?;
        if worked {
            self.signals.woke(true, true);
        }
        Ok(worked)
    }
}

async fn step(core: &Core, conn: &mut Conn) -> Result<bool, OperationError> {
    let settings = &core.settings;
    let due = "select id, fingerprint, key, name, actor, reason from dead_letter_job
        where state = 'running' and next_at <= now() order by next_at limit 1 for update skip locked";
    let Some(job) = diesel::sql_query(due).get_result::<Job>(conn).await.optional()? else {
        return Ok(false);
    };
    let Standing { failed, under_way } = standing(conn, job.id).await?;
    if failed >= i64::from(settings.replay_halt_after) {
        end(conn, job.id, "halted").await?;
        return Ok(true);
    }
    if under_way >= i64::from(settings.replay_in_flight.max(1)) {
        put_off(conn, job.id, settings.replay_poll_ms).await?;
        return Ok(true);
    }
    let Some(next) = next(conn, &job).await? else {
        // what an operator holds at this moment may be let go as it was
        if under_way == 0 && left(conn, &job).await? == 0 {
            end(conn, job.id, "finished").await?;
        } else {
            put_off(conn, job.id, 1_000).await?;
        }
        return Ok(true);
    };
    let mandate = Mandate {
        actor: job.actor,
        reason: job.reason,
    };
    apply(core, conn, next, &Act::Replay, &mandate, Some(job.id)).await?;
    // late, it makes up for a second at most
    diesel::sql_query(format!(
        "update dead_letter_job set replayed = replayed + 1, failed_again = {FAILED},
            next_at = greatest(next_at, now() - interval '1 second') + interval '1 second' / rate_per_second
        where id = $1"
    ))
    .bind::<SqlUuid, _>(job.id)
    .execute(conn)
    .await?;
    Ok(true)
}

/// In one look: what has just failed is not under way any more.
async fn standing(conn: &mut Conn, job: Uuid) -> QueryResult<Standing> {
    diesel::sql_query(format!("select {FAILED} as failed, {UNDER_WAY} as under_way"))
        .bind::<SqlUuid, _>(job)
        .get_result(conn)
        .await
}

/// The next letter to send round. One that an operator is just about to do something to is left for later.
async fn next(conn: &mut Conn, job: &Job) -> QueryResult<Option<Uuid>> {
    let found = diesel::sql_query(format!(
        "select id from dead_letter where {MEANT} and {LEFT} order by id limit 1 for update skip locked"
    ))
    .bind::<Nullable<Text>, _>(&job.fingerprint)
    .bind::<Nullable<Bytea>, _>(&job.key)
    .bind::<Nullable<Text>, _>(&job.name)
    .bind::<SqlUuid, _>(job.id)
    .get_result::<Found>(conn)
    .await
    .optional()?;
    Ok(found.map(|found| found.id))
}

async fn left(conn: &mut Conn, job: &Job) -> QueryResult<i64> {
    let found = diesel::sql_query(format!(
        "select count(*) from dead_letter where {MEANT} and {LEFT}"
    ))
    .bind::<Nullable<Text>, _>(&job.fingerprint)
    .bind::<Nullable<Bytea>, _>(&job.key)
    .bind::<Nullable<Text>, _>(&job.name)
    .bind::<SqlUuid, _>(job.id)
    .get_result::<Count>(conn)
    .await?;
    Ok(found.count)
}

/// Nothing to send just now: looked at again in a while.
async fn put_off(conn: &mut Conn, id: Uuid, millis: u64) -> QueryResult<usize> {
    diesel::sql_query(format!(
        "update dead_letter_job set next_at = now() + interval '1 millisecond' * $2, failed_again = {FAILED}
        where id = $1"
    ))
    .bind::<SqlUuid, _>(id)
    .bind::<Int4, _>(i32::try_from(millis).unwrap_or(i32::MAX))
    .execute(conn)
    .await
}
