//! Idempotency keys: what a key was answered with, written in the transaction of the order itself.

use std::time::Duration;

use chassis::database::sqlstate;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::schema::idempotency_key;

/// Another transaction holds what was waited for: SQLSTATE `lock_not_available`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What a key was used for.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = idempotency_key)]
pub struct Used {
    /// SHA-256 of the request's body.
    pub request_hash: Vec<u8>,
    /// The answer's body.
    pub response: serde_json::Value,
}

/// What `key` of `customer_id` was used for, if it was.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut AsyncPgConnection, customer_id: Uuid, key: &str) -> QueryResult<Option<Used>> {
    idempotency_key::table
        .find((customer_id, key))
        .select(Used::as_select())
        .first(conn)
        .await
        .optional()
}

/// What became of the wish for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// It is this request's.
    Taken,
    /// Another request has used it.
    Used,
    /// Another request has it in hand, and did not come to an end in time. The transaction has failed.
    InHand,
}

/// Takes `key` for a request and its answer. A transaction that has it in hand is waited for, no longer than `patience`;
/// when that one is rolled back, or its process dies, the key is free.
///
/// # Errors
/// The database's.
pub async fn take(
    conn: &mut AsyncPgConnection,
    customer_id: Uuid,
    key: &str,
    request_hash: &[u8],
    response: &serde_json::Value,
    patience: Duration,
) -> QueryResult<Taking> {
    diesel::sql_query("select set_config('lock_timeout', $1, true)")
        .bind::<Text, _>(patience.as_millis().to_string())
        .execute(conn)
        .await?;
    let taken = diesel::insert_into(idempotency_key::table)
        .values((
            idempotency_key::customer_id.eq(customer_id),
            idempotency_key::key.eq(key),
            idempotency_key::request_hash.eq(request_hash),
            idempotency_key::response.eq(response),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await;
    match taken {
        Ok(0) => Ok(Taking::Used),
        Ok(_) => Ok(Taking::Taken),
        Err(error) if waited_in_vain(&error) => Ok(Taking::InHand),
        Err(error) => Err(error),
    }
}

fn waited_in_vain(error: &Error) -> bool {
    sqlstate(error) == Some(LOCK_NOT_AVAILABLE)
}

/// Forgets `limit` keys at most that are older than `before`, and says how many.
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut AsyncPgConnection, before: DateTime<Utc>, limit: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "with old as (select customer_id, key from idempotency_key where created_at < $1
            order by created_at limit $2 for update skip locked)
        delete from idempotency_key used using old
        where used.customer_id = old.customer_id and used.key = old.key",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await
}
