//! Idempotency keys: what was registered with a key, written in the transaction of the registration. A user's transactions
//! go one after the other, so a key is there or it is not.

use chrono::{DateTime, Utc};
use contracts::UserId;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use messaging::Conn;
use secrecy::{ExposeSecret, SecretSlice};
use uuid::Uuid;

use super::schema::idempotency_key;
use super::telling::one_at_a_time;

/// What a key was used for.
#[derive(Debug)]
pub struct Used {
    /// SHA-256 of the request.
    pub request_hash: Vec<u8>,
    /// The answer, without the secret.
    pub response: serde_json::Value,
    /// The secret.
    pub secret: SecretSlice<u8>,
}

/// What `key` of the user was used for, if it was. Whoever else has it in hand is waited for, and waits for the caller's
/// transaction.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut Conn, user: UserId, key: &str) -> QueryResult<Option<Used>> {
    one_at_a_time(conn, user).await?;
    let row: Option<(Vec<u8>, serde_json::Value, Vec<u8>)> = idempotency_key::table
        .find((user.uuid(), key))
        .select((
            idempotency_key::request_hash,
            idempotency_key::response,
            idempotency_key::secret,
        ))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(request_hash, response, secret)| Used {
        request_hash,
        response,
        secret: secret.into(),
    }))
}

/// Keeps what a webhook's registration was answered with.
///
/// # Errors
/// The database's.
pub async fn keep(conn: &mut Conn, user: UserId, key: &str, webhook: Uuid, used: &Used) -> QueryResult<()> {
    diesel::insert_into(idempotency_key::table)
        .values((
            idempotency_key::user_id.eq(user.uuid()),
            idempotency_key::key.eq(key),
            idempotency_key::request_hash.eq(&used.request_hash),
            idempotency_key::response.eq(&used.response),
            idempotency_key::secret.eq(used.secret.expose_secret()),
            idempotency_key::webhook_id.eq(webhook),
        ))
        .execute(conn)
        .await
        .map(drop)
}

/// Forgets `limit` keys at most that are older than `before`, and says how many.
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut Conn, before: DateTime<Utc>, limit: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "with old as (select user_id, key from idempotency_key where created_at < $1
            order by created_at limit $2 for update skip locked)
        delete from idempotency_key used using old where used.user_id = old.user_id and used.key = old.key",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await
}
