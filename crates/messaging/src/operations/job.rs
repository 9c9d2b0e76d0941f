//! Replaying many letters: paced, a transaction a letter, by whichever replica is there.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Int4, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use super::act::{Act, apply, audit};
use super::{Document, Filter, Mandate, OperationError, Operations};
use crate::Conn;
use crate::kernel::Core;
use chassis::clock;

/// Letters that a filter ($1 fingerprint, $2 key, $3 name) means.
const MEANT: &str = "state = 'open' and ($1 is null or error_fingerprint = $1) and ($2 is null or key = $2)
    and ($3 is null or name = $3)";
/// Letters of a job that have failed again; the first attempt counts, or a fast job would be over before the last one.
const FAILED: &str = "(select count(*) from dead_letter d where job_id = $1 and (state = 'open'
    or state = 'replaying' and exists (select from work w where w.id = d.id and w.attempts > 0)))";

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
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

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl Operations {
    /// Starts a bulk replay and answers its job; a dry run only counts.
    ///
    /// # Errors
    /// [`OperationError`]; nothing is started then.
    pub async fn replay_many(
        &self,
        filter: &Filter,
        rate_per_second: i32,
        dry_run: bool,
        mandate: &Mandate,
    ) -> Result<Value, OperationError> {
        let mut conn = self.core.connection().await?;
        let matched = diesel::sql_query(format!("select count(*) from dead_letter where {MEANT}"))
            .bind::<Nullable<Text>, _>(&filter.fingerprint)
            .bind::<Nullable<Bytea>, _>(filter.key.as_ref().map(String::as_bytes))
            .bind::<Nullable<Text>, _>(&filter.name)
            .get_result::<Count>(&mut conn)
            .await?
            .count;
        if dry_run {
            return Ok(
                json!({ "id": null, "state": "dry_run", "matched": matched, "replayed": 0, "failed_again": 0 }),
            );
        }
        let id = conn
            .transaction(async |conn| start(conn, filter, rate_per_second, matched, mandate).await)
            .await?;
        self.job(id).await
    }

    /// How far a bulk replay is.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn job(&self, id: Uuid) -> Result<Value, OperationError> {
        let mut conn = self.core.connection().await?;
        look(&mut conn, id).await
    }

    /// Stops a bulk replay; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn stop_job(&self, id: Uuid, mandate: &Mandate) -> Result<Value, OperationError> {
        let mut conn = self.core.connection().await?;
        conn.transaction(async |conn| {
            let before = look(conn, id).await?;
            if end(conn, id, "stopped").await? == 1 {
                let after = look(conn, id).await?;
                audit(conn, "stop-replay", id, mandate, Some(before), Some(after)).await?;
            }
            look(conn, id).await
        })
        .await
    }
}

/// Begins a bulk replay, unless the same one is running: then it answers with that one.
async fn start(
    conn: &mut Conn,
    filter: &Filter,
    rate: i32,
    matched: i64,
    mandate: &Mandate,
) -> Result<Uuid, OperationError> {
    let id = clock::new_id();
    let begun = diesel::sql_query(
        "insert into dead_letter_job (id, fingerprint, key, name, actor, reason, rate_per_second, matched)
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Nullable<Text>, _>(&filter.fingerprint)
    .bind::<Nullable<Bytea>, _>(filter.key.as_ref().map(String::as_bytes))
    .bind::<Nullable<Text>, _>(&filter.name)
    .bind::<SqlUuid, _>(mandate.actor)
    .bind::<Text, _>(&mandate.reason)
    .bind::<Int4, _>(rate)
    .bind::<BigInt, _>(matched)
    .execute(conn)
    .await?;
    if begun == 0 {
        let running =
            "select id from dead_letter_job where state = 'running' and fingerprint is not distinct from $1
            and key is not distinct from $2 and name is not distinct from $3";
        return Ok(diesel::sql_query(running)
            .bind::<Nullable<Text>, _>(&filter.fingerprint)
            .bind::<Nullable<Bytea>, _>(filter.key.as_ref().map(String::as_bytes))
            .bind::<Nullable<Text>, _>(&filter.name)
            .get_result::<Found>(conn)
            .await?
            .id);
    }
    let after = look(conn, id).await?;
    audit(conn, "replay-many", id, mandate, None, Some(after)).await?;
    Ok(id)
}

async fn look(conn: &mut Conn, id: Uuid) -> Result<Value, OperationError> {
    diesel::sql_query(
        "select to_jsonb(j) - 'key' || jsonb_build_object('key', convert_from(j.key, 'UTF8')) as document
        from dead_letter_job j where id = $1",
    )
    .bind::<SqlUuid, _>(id)
    .get_result::<Document>(conn)
    .await
    .optional()?
    .map(|found| found.document)
    .ok_or(OperationError::NotFound)
}

async fn end(conn: &mut Conn, id: Uuid, state: &str) -> QueryResult<usize> {
    diesel::sql_query(format!(
        "update dead_letter_job set state = $2, finished_at = now(), failed_again = {FAILED}
        where id = $1 and state = 'running'"
    ))
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(state)
    .execute(conn)
    .await
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
        let halt_after = i64::from(self.settings.replay_halt_after);
        let worked = conn
            .transaction(async |conn| step(conn, halt_after).await)
            .await?;
        if worked {
            self.signals.woke(true, true);
        }
        Ok(worked)
    }
}

async fn step(conn: &mut Conn, halt_after: i64) -> Result<bool, OperationError> {
    let due = "select id, fingerprint, key, name, actor, reason from dead_letter_job
        where state = 'running' and next_at <= now() order by next_at limit 1 for update skip locked";
    let Some(job) = diesel::sql_query(due).get_result::<Job>(conn).await.optional()? else {
        return Ok(false);
    };
    let failed = diesel::sql_query(format!("select {FAILED} as count"))
        .bind::<SqlUuid, _>(job.id)
        .get_result::<Count>(conn)
        .await?
        .count;
    if failed >= halt_after {
        end(conn, job.id, "halted").await?;
        return Ok(true);
    }
    let Some(next) = next(conn, &job).await? else {
        settle(conn, job.id).await?;
        return Ok(true);
    };
    let mandate = Mandate {
        actor: job.actor,
        reason: job.reason,
    };
    apply(conn, next, &Act::Replay, &mandate, Some(job.id)).await?;
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

/// The next letter that was there when the job began, and that the job has not sent round yet.
async fn next(conn: &mut Conn, job: &Job) -> Result<Option<Uuid>, OperationError> {
    let found = diesel::sql_query(format!(
        "select id from dead_letter where {MEANT} and job_id is distinct from $4
            and updated_at <= (select created_at from dead_letter_job where id = $4)
            and (kind = 'publication' or exists (
                select from work w where w.id = dead_letter.id and w.state = 'dead'))
        order by id limit 1 for update skip locked"
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

/// Nothing is left to send: finished once nothing of it is under way, looked at again in a second before.
async fn settle(conn: &mut Conn, id: Uuid) -> Result<(), OperationError> {
    let under_way = "select count(*) from dead_letter where job_id = $1 and state = 'replaying'";
    let left = diesel::sql_query(under_way)
        .bind::<SqlUuid, _>(id)
        .get_result::<Count>(conn)
        .await?
        .count;
    if left == 0 {
        end(conn, id, "finished").await?;
    } else {
        diesel::sql_query(format!(
            "update dead_letter_job set next_at = now() + interval '1 second', failed_again = {FAILED} where id = $1"
        ))
        .bind::<SqlUuid, _>(id)
        .execute(conn)
        .await?;
    }
    Ok(())
}
