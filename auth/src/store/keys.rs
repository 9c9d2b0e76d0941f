//! Keys that sign access tokens, sealed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::schema::signing_keys;
use super::{Conn, StoreError};
use crate::crypto::SealedSeed;

/// A key as it is stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(crate) struct StoredKey {
    /// Its name.
    pub(crate) kid: String,
    public_key: Vec<u8>,
    /// Since when it is published.
    pub(crate) created_at: DateTime<Utc>,
    sealed_seed: Vec<u8>,
    sealed_with: String,
    /// From when it signs.
    pub(crate) signs_from: DateTime<Utc>,
}

impl StoredKey {
    /// A new row.
    pub(crate) fn new(
        (kid, public): (&str, &[u8]),
        sealed: SealedSeed,
        created_at: DateTime<Utc>,
        signs_from: DateTime<Utc>,
    ) -> Self {
        Self {
            kid: kid.to_owned(),
            public_key: public.to_vec(),
            created_at,
            sealed_seed: sealed.bytes,
            sealed_with: sealed.sealed_with,
            signs_from,
        }
    }

    /// The sealed seed.
    pub(crate) fn sealed(&self) -> SealedSeed {
        SealedSeed {
            bytes: self.sealed_seed.clone(),
            sealed_with: self.sealed_with.clone(),
        }
    }
}

/// All keys, in the order in which they sign.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<StoredKey>, StoreError> {
    Ok(signing_keys::table
        .select(StoredKey::as_select())
        .order((signing_keys::signs_from, signing_keys::kid))
        .load(conn)
        .await?)
}

/// Lets one transaction at a time add or change keys; readers are not held up.
pub(crate) async fn lock(conn: &mut Conn) -> Result<(), StoreError> {
    diesel::sql_query("lock table signing_keys in share row exclusive mode")
        .execute(conn)
        .await?;
    Ok(())
}

/// Stores a new key.
pub(crate) async fn add(conn: &mut Conn, key: &StoredKey) -> Result<(), StoreError> {
    diesel::insert_into(signing_keys::table)
        .values(key)
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts a seed that was sealed anew in the place of the one before.
pub(crate) async fn reseal(conn: &mut Conn, kid: &str, sealed: &SealedSeed) -> Result<(), StoreError> {
    diesel::update(signing_keys::table.find(kid))
        .set((
            signing_keys::sealed_seed.eq(&sealed.bytes),
            signing_keys::sealed_with.eq(&sealed.sealed_with),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes keys. Answers with how many were there.
pub(crate) async fn remove(conn: &mut Conn, kids: &[String]) -> Result<usize, StoreError> {
    Ok(
        diesel::delete(signing_keys::table.filter(signing_keys::kid.eq_any(kids)))
            .execute(conn)
            .await?,
    )
}
