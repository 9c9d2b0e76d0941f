//! Keys in the database: the first one, new ones, those sealed anew, those that are over.

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::AsyncConnection;

use crate::crypto::{KeyEncryption, OpenError, SigningKeyPair};
use crate::store::keys::{self as rows, StoredKey};
use crate::store::{Conn, StoreError};

/// Why no new key was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotateError {
    /// One is published already and does not sign yet.
    #[error("key {kid} is published already and signs from {signs_from}")]
    Pending {
        /// Its name.
        kid: String,
        /// From when it signs.
        signs_from: DateTime<Utc>,
    },
    /// A key that would be sealed anew does not open.
    #[error("key {kid} {reason}")]
    Sealed {
        /// Its name.
        kid: String,
        /// Why.
        reason: OpenError,
    },
    /// The cipher refused.
    #[error(transparent)]
    Sealing(anyhow::Error),
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for RotateError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It is published and signs later.
    Pending,
    /// It signs.
    Signing,
    /// It has signed; its tokens may live.
    Retired,
    /// Its tokens have expired: it is published no more.
    Over,
}

/// Whether a key that signs from then is over: another has taken its place so long ago that its last token has
/// expired. `since` is that long ago.
pub(super) fn is_over(signs_from: DateTime<Utc>, all: &[DateTime<Utc>], since: DateTime<Utc>) -> bool {
    all.iter().any(|other| *other > signs_from && *other < since)
}

/// Makes the first key, which signs at once, when there is none. Of replicas that start at once, one does.
pub(crate) async fn ensure_one(
    conn: &mut Conn,
    encryption: &KeyEncryption,
    now: DateTime<Utc>,
) -> Result<(), RotateError> {
    conn.transaction::<(), RotateError, _>(async |conn| {
        if !rows::all(conn).await?.is_empty() {
            return Ok(());
        }
        rows::lock(conn).await?;
        if rows::all(conn).await?.is_empty() {
            let key = add(conn, encryption, now, now).await?;
            tracing::info!(key.id = key.kid, "first signing key made");
        }
        Ok(())
    })
    .await
}

/// Makes a new key that is published from now on and signs after `lead`.
pub(crate) async fn rotate(
    conn: &mut Conn,
    encryption: &KeyEncryption,
    lead: TimeDelta,
    now: DateTime<Utc>,
) -> Result<StoredKey, RotateError> {
    conn.transaction::<StoredKey, RotateError, _>(async |conn| {
        rows::lock(conn).await?;
        let all = rows::all(conn).await?;
        match all.into_iter().find(|key| key.signs_from > now) {
            Some(pending) => Err(RotateError::Pending {
                kid: pending.kid,
                signs_from: pending.signs_from,
            }),
            None => add(conn, encryption, now, now + lead).await,
        }
    })
    .await
}

/// Seals every key with the current key-encryption key that another one sealed. Answers with how many.
pub(crate) async fn reseal(conn: &mut Conn, encryption: &KeyEncryption) -> Result<usize, RotateError> {
    conn.transaction::<usize, RotateError, _>(async |conn| {
        rows::lock(conn).await?;
        let mut resealed = 0_usize;
        for key in rows::all(conn).await? {
            let sealed = key.sealed();
            if sealed.sealed_with == encryption.name() {
                continue;
            }
            let pair = encryption
                .open(&key.kid, &sealed)
                .map_err(|reason| RotateError::Sealed {
                    kid: key.kid.clone(),
                    reason,
                })?;
            let sealed = encryption.seal(&pair).map_err(RotateError::Sealing)?;
            rows::reseal(conn, &key.kid, &sealed).await?;
            resealed = resealed.saturating_add(1);
        }
        Ok(resealed)
    })
    .await
}

/// All keys with what they do, in the order in which they sign.
pub(crate) async fn list(
    conn: &mut Conn,
    overlap: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Vec<(StoredKey, KeyState)>, StoreError> {
    let keys = rows::all(conn).await?;
    let times: Vec<_> = keys.iter().map(|key| key.signs_from).collect();
    let state = |key: &StoredKey| {
        if key.signs_from > now {
            KeyState::Pending
        } else if is_over(key.signs_from, &times, now - overlap) {
            KeyState::Over
        } else if times.iter().any(|other| *other > key.signs_from && *other <= now) {
            KeyState::Retired
        } else {
            KeyState::Signing
        }
    };
    Ok(keys
        .into_iter()
        .map(|key| {
            let state = state(&key);
            (key, state)
        })
        .collect())
}

/// Deletes the keys that are over. Answers with how many.
pub(crate) async fn remove_old(
    conn: &mut Conn,
    overlap: TimeDelta,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let over: Vec<String> = list(conn, overlap, now)
        .await?
        .into_iter()
        .filter(|(_, state)| *state == KeyState::Over)
        .map(|(key, _)| key.kid)
        .collect();
    if over.is_empty() {
        return Ok(0);
    }
    rows::remove(conn, &over).await
}

async fn add(
    conn: &mut Conn,
    encryption: &KeyEncryption,
    now: DateTime<Utc>,
    signs_from: DateTime<Utc>,
) -> Result<StoredKey, RotateError> {
    let pair = SigningKeyPair::generate();
    let sealed = encryption.seal(&pair).map_err(RotateError::Sealing)?;
    let key = StoredKey::new((&pair.kid, &pair.public), sealed, now, signs_from);
    rows::add(conn, &key).await?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_key_is_over_when_its_successor_has_signed_for_longer_than_tokens_live() {
        let all = [at(0), at(1_000)];
        assert!(!is_over(at(0), &all, at(1_000)), "its last token is alive");
        assert!(is_over(at(0), &all, at(1_001)));
        assert!(!is_over(at(1_000), &all, at(1_000_000)), "nobody took its place");
    }
}
