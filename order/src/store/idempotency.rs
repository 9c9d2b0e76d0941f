//! Idempotency keys: what a key was answered with, written in the transaction of the order itself.

use diesel::prelude::*;
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
