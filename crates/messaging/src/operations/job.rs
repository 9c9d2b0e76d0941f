//! Replaying many letters: begun, looked at, stopped.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Int4, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use serde_json::{Value, json};
use tracing::info;
use uuid::Uuid;

use super::act::audit;
use super::pace::{FAILED, MEANT};
use super::{Document, Filter, Mandate, OperationError, Operations};
use crate::Conn;
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
        loop {
            let started = conn
                .transaction(async |conn| start(conn, filter, rate_per_second, matched, mandate).await)
                .await?;
            if let Some(id) = started {
                info!(job.id = %id, matched, rate_per_second, actor.id = %mandate.actor, "a bulk replay is begun");
                return look(&mut conn, id).await;
            }
        }
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
                info!(job.id = %id, actor.id = %mandate.actor, "a bulk replay is stopped");
            }
            look(conn, id).await
        })
        .await
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
    audit(conn, "replay-many", id, mandate, None, Some(after)).await?;
    Ok(Some(id))
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
