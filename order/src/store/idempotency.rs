//! Idempotency keys: what a key was answered with, written in the transaction of the order itself.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::schema::idempotency_key;

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

/// Takes `key` for a request and its answer. False when it is taken: a transaction that holds it is waited for, and
/// if that one is rolled back the key is free.
///
/// # Errors
/// The database's.
pub async fn take(
    conn: &mut AsyncPgConnection,
    customer_id: Uuid,
    key: &str,
    request_hash: &[u8],
    response: &serde_json::Value,
) -> QueryResult<bool> {
    let taken = diesel::insert_into(idempotency_key::table)
        .values((
            idempotency_key::customer_id.eq(customer_id),
            idempotency_key::key.eq(key),
            idempotency_key::request_hash.eq(request_hash),
            idempotency_key::response.eq(response),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(taken > 0)
}

/// Forgets `limit` keys at most that are older than `before`, and says how many.
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut AsyncPgConnection, before: DateTime<Utc>, limit: i64) -> QueryResult<usize> {
    let old = idempotency_key::table
        .filter(idempotency_key::created_at.lt(before))
        .order(idempotency_key::created_at)
        .limit(limit)
        .select((idempotency_key::customer_id, idempotency_key::key))
        .load::<(Uuid, String)>(conn)
        .await?;
    let (customers, keys): (Vec<Uuid>, Vec<String>) = old.into_iter().unzip();
    diesel::sql_query(
        "delete from idempotency_key used using unnest($1, $2) as old (customer_id, key)
         where used.customer_id = old.customer_id and used.key = old.key",
    )
    .bind::<Array<diesel::sql_types::Uuid>, _>(customers)
    .bind::<Array<Text>, _>(keys)
    .execute(conn)
    .await
}
