//! Replaying many letters: begun, looked at, listed, stopped.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Int4, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use serde_json::{Value, json};
use tracing::info;
use uuid::Uuid;

use super::audit::record_of;
use super::pace::{FAILED, MEANT};
use super::{Document, Filter, Mandate, OperationError, Operations};
use crate::Conn;
use crate::once::{Answer, RequestKey, once};
use chassis::clock;

#[derive(QueryableByName)]
pub(super) struct Count {
    #[diesel(sql_type = BigInt)]
    pub(super) count: i64,
}

#[derive(QueryableByName)]
pub(super) struct Found {
    #[diesel(sql_type = SqlUuid)]
    pub(super) id: Uuid,
}

impl Operations {
    /// How many letters a bulk replay would mean now: a dry run.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn would_replay(&self, filter: &Filter) -> Result<Value, OperationError> {
        let mut conn = self.core.connection().await?;
        let matched = meant(&mut conn, filter).await?;
        Ok(json!({ "id": null, "state": "dry_run", "matched": matched, "replayed": 0, "failed_again": 0 }))
    }

    /// Starts a bulk replay and answers its job; with a key, once.
    ///
    /// # Errors
    /// [`OperationError`]; nothing is started then.
    pub async fn replay_many(
        &self,
        filter: &Filter,
        rate_per_second: i32,
        mandate: &Mandate,
        key: Option<&RequestKey>,
    ) -> Result<Answer, OperationError> {
        let mut conn = self.core.connection().await?;
        let answer = conn
            .transaction(async |conn| {
                once(conn, key, async |conn| {
                    begin(conn, filter, rate_per_second, mandate).await
                })
                .await
            })
            .await?;
        if !answer.repeated {
            let told = |member| answer.document.get(member).map(ToString::to_string);
            info!(
                job.id = told("id"),
                matched = told("matched"),
                rate_per_second,
                actor.id = %mandate.actor,
                "a bulk replay is begun"
            );
        }
        Ok(answer)
    }

    /// How far a bulk replay is.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn job(&self, id: Uuid) -> Result<Value, OperationError> {
        let mut conn = self.core.connection().await?;
        look(&mut conn, id).await
    }

    /// Bulk replays, the youngest first, those after the job `before`.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn jobs(
        &self,
        state: Option<&str>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Value>, OperationError> {
        let mut conn = self.core.connection().await?;
        let rows: Vec<Document> = diesel::sql_query(format!(
            "{LOOK} where ($1 is null or state = $1) and ($2 is null or id < $2) order by id desc limit $3"
        ))
        .bind::<Nullable<Text>, _>(state)
        .bind::<Nullable<SqlUuid>, _>(before)
        .bind::<BigInt, _>(limit)
        .load(&mut conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.document).collect())
    }

    /// Stops a bulk replay; one that has ended stays as it is. With a key, once.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn stop_job(
        &self,
        id: Uuid,
        mandate: &Mandate,
        key: Option<&RequestKey>,
    ) -> Result<Answer, OperationError> {
        let mut conn = self.core.connection().await?;
        let (answer, stopped) = conn
            .transaction(async |conn| {
                let mut stopped = false;
                let work = async |conn: &mut Conn| {
                    let before = look(conn, id).await?;
                    stopped = end(conn, id, "stopped").await? == 1;
                    let after = look(conn, id).await?;
                    if stopped {
                        let (before, after) = (Some(before), Some(after.clone()));
                        record_of(conn, "stop-replay", id, mandate, before, after).await?;
                    }
                    Ok::<_, OperationError>(after)
                };
                let answer = once(conn, key, work).await?;
                Ok::<_, OperationError>((answer, stopped))
            })
            .await?;
        if stopped {
            info!(job.id = %id, actor.id = %mandate.actor, "a bulk replay is stopped");
        }
        Ok(answer)
    }
}

async fn meant(conn: &mut Conn, filter: &Filter) -> QueryResult<i64> {
    let meant = diesel::sql_query(format!("select count(*) from dead_letter where {MEANT}"))
        .bind::<Nullable<Text>, _>(&filter.fingerprint)
        .bind::<Nullable<Bytea>, _>(filter.key.as_ref().map(String::as_bytes))
        .bind::<Nullable<Text>, _>(&filter.name)
        .get_result::<Count>(conn)
        .await?;
    Ok(meant.count)
}

async fn begin(
    conn: &mut Conn,
    filter: &Filter,
    rate_per_second: i32,
    mandate: &Mandate,
) -> Result<Value, OperationError> {
    let matched = meant(conn, filter).await?;
    loop {
        if let Some(id) = start(conn, filter, rate_per_second, matched, mandate).await? {
            return look(conn, id).await;
        }
    }
}

/// Begins a bulk replay, unless the same one is running: then it answers with that one. None when that one has ended
/// meanwhile.
async fn start(
    conn: &mut Conn,
    filter: &Filter,
    rate: i32,
    matched: i64,
    mandate: &Mandate,
) -> Result<Option<Uuid>, OperationError> {
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
            .await
            .optional()?
            .map(|found| found.id));
    }
    let after = look(conn, id).await?;
    record_of(conn, "replay-many", id, mandate, None, Some(after)).await?;
    Ok(Some(id))
}

/// The key of a filter came as text.
const LOOK: &str =
    "select to_jsonb(j) - 'key' || jsonb_build_object('key', convert_from(j.key, 'UTF8')) as document
    from dead_letter_job j";

async fn look(conn: &mut Conn, id: Uuid) -> Result<Value, OperationError> {
    diesel::sql_query(format!("{LOOK} where id = $1"))
        .bind::<SqlUuid, _>(id)
        .get_result::<Document>(conn)
        .await
        .optional()?
        .map(|found| found.document)
        .ok_or(OperationError::NotFound)
}

pub(super) async fn end(conn: &mut Conn, id: Uuid, state: &str) -> QueryResult<usize> {
    diesel::sql_query(format!(
        "update dead_letter_job set state = $2, finished_at = now(), failed_again = {FAILED}
        where id = $1 and state = 'running'"
    ))
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(state)
    .execute(conn)
    .await
}
