//! Keys that sign access tokens.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use secrecy::ExposeSecret;

use super::schema::signing_keys;
use super::{Conn, StoreError};
use crate::crypto::{SigningKeyPair, VerifyingKey};

/// The key that signs; `candidate` becomes it when there is none yet. Of replicas that start at once, all get
/// the same: the database lets one key be active.
pub(crate) async fn active_or(
    conn: &mut Conn,
    candidate: &SigningKeyPair,
    now: DateTime<Utc>,
) -> Result<SigningKeyPair, StoreError> {
    diesel::insert_into(signing_keys::table)
        .values((
            signing_keys::kid.eq(&candidate.kid),
            signing_keys::public_key.eq(&candidate.public[..]),
            signing_keys::private_key.eq(&candidate.seed.expose_secret()[..]),
            signing_keys::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    let seed: Vec<u8> = signing_keys::table
        .filter(signing_keys::retired_at.is_null())
        .select(signing_keys::private_key)
        .first(conn)
        .await?;
    let seed: [u8; 32] = seed.try_into().map_err(|_wrong_length| StoreError::Corrupt {
        table: "signing_keys",
        column: "private_key",
    })?;
    Ok(SigningKeyPair::from_seed(seed))
}

/// The keys to publish.
pub(crate) async fn published(conn: &mut Conn) -> Result<Vec<VerifyingKey>, StoreError> {
    let rows: Vec<(String, Vec<u8>)> = signing_keys::table
        .select((signing_keys::kid, signing_keys::public_key))
        .order(signing_keys::created_at.desc())
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(kid, public)| VerifyingKey { kid, public })
        .collect())
}
