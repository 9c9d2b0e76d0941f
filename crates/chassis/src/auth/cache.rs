//! Tokens that were verified a moment ago. A signature costs 70 µs, a lookup by hash 1 µs.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use lru::LruCache;
use sha2::{Digest, Sha256};

use super::principal::Principal;

/// SHA-256 of a token: what it is kept under, so that the cache holds no token.
pub(super) type Fingerprint = [u8; 32];

/// A bounded cache, the least recently used leaving first.
pub(super) struct VerifiedTokens {
    entries: Mutex<LruCache<Fingerprint, Entry>>,
    age_max: Duration,
}

struct Entry {
    principal: Principal,
    verified_at: Instant,
    /// The key set it was verified against; another one starts over.
    key_set: u64,
}

impl VerifiedTokens {
    /// Room for `entries_max` tokens of some 250 bytes each; a verification counts for `age_max`.
    pub(super) fn new(entries_max: NonZeroUsize, age_max: Duration) -> Self {
        Self {
            entries: Mutex::new(LruCache::new(entries_max)),
            age_max,
        }
    }

    pub(super) fn fingerprint(token: &str) -> Fingerprint {
        Sha256::digest(token).into()
    }

    /// Whom the token speaks for, if that was found out against this key set a moment ago and it has not
    /// expired since.
    pub(super) fn get(&self, token: &Fingerprint, key_set: u64, now: DateTime<Utc>) -> Option<Principal> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(token)?;
        let holds = entry.key_set == key_set
            && entry.verified_at.elapsed() < self.age_max
            && now < entry.principal.expires_at;
        if holds {
            return Some(entry.principal.clone());
        }
        entries.pop(token);
        None
    }

    pub(super) fn put(&self, token: Fingerprint, key_set: u64, principal: Principal) {
        let entry = Entry {
            principal,
            verified_at: Instant::now(),
            key_set,
        };
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(token, entry);
    }
}
