//! What is asked for twice with the same key is done once.

use diesel::prelude::*;
use diesel::sql_types::{Bytea, Int4, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::Conn;

/// The key of a request.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// Whose: each user has keys of their own.
    pub actor: Uuid,
    /// As the client chose it.
    pub key: String,
    /// Of the request: the same key with another hash is refused.
    pub hash: Vec<u8>,
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The document.
    pub document: Value,
    /// Whether it was given before, to the same request: nothing was done this time.
    pub repeated: bool,
}

/// Why a key is not a request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It was used for another request.
    #[error("the idempotency key was used for another request")]
    Mismatch,
    /// Its request was rolled back or forgotten in this moment: again, it may do.
    #[error("another request has the idempotency key in hand")]
    InHand,
}

#[derive(QueryableByName)]
struct Used {
    #[diesel(sql_type = Bytea)]
    request_hash: Vec<u8>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    response: Option<Value>,
}

/// Does `work`, unless the key's request has been answered. To be called in a transaction: a request that has the key in
/// hand is waited for, and when its transaction is rolled back, or its process dies, the key is free.
///
/// # Errors
/// A [`KeyError`], the database's, and what `work` answers with.
pub async fn once<E>(
    conn: &mut Conn,
    key: Option<&RequestKey>,
    work: impl AsyncFnOnce(&mut Conn) -> Result<Value, E>,
) -> Result<Answer, E>
where
    E: From<diesel::result::Error> + From<KeyError>,
{
    if let Some(key) = key
        && let Some(document) = take::<E>(conn, key).await?
    {
        return Ok(Answer {
            document,
            repeated: true,
        });
    }
    let document = work(conn).await?;
    if let Some(key) = key {
        diesel::sql_query("update operation_key set response = $3 where actor = $1 and key = $2")
            .bind::<SqlUuid, _>(key.actor)
            .bind::<Text, _>(&key.key)
            .bind::<Jsonb, _>(&document)
            .execute(conn)
            .await?;
    }
    Ok(Answer {
        document,
        repeated: false,
    })
}

/// Takes the key; what its request was answered with where it is taken.
async fn take<E>(conn: &mut Conn, key: &RequestKey) -> Result<Option<Value>, E>
where
    E: From<diesel::result::Error> + From<KeyError>,
{
    let taken = diesel::sql_query(
        "insert into operation_key (actor, key, request_hash) values ($1, $2, $3) on conflict do nothing",
    )
    .bind::<SqlUuid, _>(key.actor)
    .bind::<Text, _>(&key.key)
    .bind::<Bytea, _>(&key.hash)
    .execute(conn)
    .await?;
    if taken == 1 {
        return Ok(None);
    }
    let used: Option<Used> =
        diesel::sql_query("select request_hash, response from operation_key where actor = $1 and key = $2")
            .bind::<SqlUuid, _>(key.actor)
            .bind::<Text, _>(&key.key)
            .get_result(conn)
            .await
            .optional()?;
    match used {
        Some(used) if used.request_hash != key.hash => Err(KeyError::Mismatch.into()),
        Some(Used {
            response: Some(response),
            ..
        }) => Ok(Some(response)),
        // forgotten in this moment
        Some(Used { response: None, .. }) | None => Err(KeyError::InHand.into()),
    }
}

/// Forgets keys that were used more than `hours` before `now`, a bounded number at a time.
///
/// # Errors
/// The database's.
pub(crate) async fn forget(
    conn: &mut Conn,
    now: chrono::DateTime<chrono::Utc>,
    hours: i32,
) -> QueryResult<usize> {
    diesel::sql_query(
        "with old as (select actor, key from operation_key where created_at < $1 - make_interval(hours => $2)
            order by created_at limit 10000 for update skip locked)
        delete from operation_key used using old where used.actor = old.actor and used.key = old.key",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Int4, _>(hours)
    .execute(conn)
    .await
}
