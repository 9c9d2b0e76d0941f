//! The keys in memory, read again from time to time.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use chassis::{Pool, clock};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::JwkSet;

use super::rotation::is_over;
use crate::config::{KeySettings, SessionSettings};
use crate::crypto::{KeyEncryption, OpenError, Signer, VerifyingKey, key_set};
use crate::store;
use crate::store::keys::StoredKey;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingError {
    /// The key-encryption key is missing or no key.
    #[error("{setting}: {reason}")]
    Secret {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A key in the database does not open.
    #[error(
        "signing key {kid} {reason} ({sealed_with}; keys.encryption_secret is {ours}): set keys.encryption_secret, or \
         keys.previous_encryption_secret, to the one it was sealed with"
    )]
    Sealed {
        /// The key's name.
        kid: String,
        /// Why.
        reason: OpenError,
        /// Name of the key-encryption key that sealed it.
        sealed_with: String,
        /// Name of the one that is set.
        ours: String,
    },
}

/// The keys, shared by all workers.
pub(crate) struct KeyRing {
    pool: Pool,
    encryption: Arc<KeyEncryption>,
    /// How long a key stays published after another signs in its place.
    overlap: TimeDelta,
    keys: RwLock<Arc<Vec<RingKey>>>,
}

/// A key that opened.
pub(super) struct RingKey {
    verifying: VerifyingKey,
    signs_from: DateTime<Utc>,
    signer: Arc<Signer>,
}

impl KeyRing {
    /// The keys of the database.
    ///
    /// # Errors
    /// When one of them does not open, or the database is not there.
    pub(crate) async fn open(
        pool: Pool,
        encryption: Arc<KeyEncryption>,
        overlap: TimeDelta,
    ) -> anyhow::Result<Self> {
        let ring = Self {
            pool,
            encryption,
            overlap,
            keys: RwLock::default(),
        };
        let (keys, sealed) = ring.read().await?;
        if let Some(error) = sealed.into_iter().next() {
            return Err(error.into());
        }
        ring.put(keys);
        Ok(ring)
    }

    /// Reads the keys again. One that does not open is left out: nobody could tell whose it is.
    ///
    /// # Errors
    /// When the database is not there; the keys we have stay.
    pub(crate) async fn reload(&self) -> anyhow::Result<()> {
        let (keys, sealed) = self.read().await?;
        for error in sealed {
            tracing::error!(error.message = %error, "a signing key is left out");
        }
        if keys.is_empty() {
            anyhow::bail!("no signing key opens");
        }
        self.put(keys);
        Ok(())
    }

    /// The key that signs now.
    pub(crate) fn signer(&self, now: DateTime<Utc>) -> Option<Arc<Signer>> {
        let keys = self.keys();
        let due = keys.iter().rev().find(|key| key.signs_from <= now);
        // Only when the clock of who made the first key is ahead of ours.
        due.or_else(|| keys.first()).map(|key| Arc::clone(&key.signer))
    }

    /// The keys to publish, the newest first.
    pub(crate) fn published(&self, now: DateTime<Utc>) -> Vec<VerifyingKey> {
        let keys = self.keys();
        let times: Vec<_> = keys.iter().map(|key| key.signs_from).collect();
        let live = keys
            .iter()
            .filter(|key| !is_over(key.signs_from, &times, now - self.overlap));
        live.rev().map(|key| key.verifying.clone()).collect()
    }

    /// The published keys, read again: what an unknown key asks for.
    pub(crate) async fn fetch(&self) -> anyhow::Result<JwkSet> {
        if let Err(error) = self.reload().await {
            tracing::warn!(
                error.message = format!("{error:#}"),
                "signing keys not read again"
            );
        }
        key_set(&self.published(clock::now()))
    }

    async fn read(&self) -> anyhow::Result<(Vec<RingKey>, Vec<RingError>)> {
        let mut connection = self.pool.get().await.context("no database connection")?;
        let rows = store::keys::all(&mut connection).await?;
        let (mut keys, mut sealed) = (Vec::new(), Vec::new());
        for row in rows {
            match self.encryption.open(&row.kid, &row.sealed()) {
                Ok(pair) => keys.push(RingKey {
                    signer: Arc::new(Signer::new(&pair)?),
                    verifying: VerifyingKey {
                        kid: pair.kid,
                        public: pair.public.to_vec(),
                    },
                    signs_from: row.signs_from,
                }),
                Err(reason) => sealed.push(self.sealed(&row, reason)),
            }
        }
        Ok((keys, sealed))
    }

    fn sealed(&self, row: &StoredKey, reason: OpenError) -> RingError {
        RingError::Sealed {
            kid: row.kid.clone(),
            reason,
            sealed_with: row.sealed().sealed_with,
            ours: self.encryption.name().to_owned(),
        }
    }

    fn keys(&self) -> Arc<Vec<RingKey>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, keys: Vec<RingKey>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}

/// How long a key stays published after another signs in its place: until its last token has expired everywhere.
pub(crate) fn overlap(keys: &KeySettings, session: &SessionSettings) -> TimeDelta {
    session.access_ttl() + keys.leeway()
}

/// The key-encryption key of the settings.
///
/// # Errors
/// When it is missing, or is none.
pub(crate) fn encryption(keys: &KeySettings) -> Result<KeyEncryption, RingError> {
    KeyEncryption::new(&keys.encryption_secret, &keys.previous_encryption_secret).map_err(
        |(setting, error)| RingError::Secret {
            setting,
            reason: error.to_string(),
        },
    )
}
