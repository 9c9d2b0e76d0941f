//! The logins that ended, as this instance knows them.
//!
//! Each reads the topic `session.revoked` itself, which is how it learns of a logout at once. Besides, one instance writes
//! what is announced into the database, and each reads what is new there several times a second: that is known when the
//! topic cannot be read. A row is read by everyone because the reader goes by transactions, not by a number (see the
//! migration), and not by notifications, which a broken connection loses.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use chassis::auth::{IsRevoked, Principal};
use chassis::{Pool, clock};
use chrono::TimeDelta;

use crate::domain::revocation::{Issued, Revocation, RevocationList};
use crate::store::revocations::{self, Mark};

/// Shared by all workers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Revocations {
    list: Arc<RwLock<RevocationList>>,
    token_lifetime: TimeDelta,
}

impl Revocations {
    /// None yet. `token_lifetime` is how long a token may outlive what ends it.
    pub(crate) fn new(entries_max: usize, token_lifetime: TimeDelta) -> Self {
        Self {
            list: Arc::new(RwLock::new(RevocationList::new(entries_max))),
            token_lifetime,
        }
    }

    /// How long a token may outlive what ends it.
    pub(crate) const fn token_lifetime(&self) -> TimeDelta {
        self.token_lifetime
    }

    /// Remembers one, if there can be a token that it ends.
    pub(crate) fn add(&self, revocation: &Revocation) {
        if revocation.revoked_at > clock::now() - self.token_lifetime {
            self.list().add(revocation);
        }
    }

    /// Forgets those that no token is left of.
    pub(crate) fn forget_the_expired(&self) {
        self.list().forget_until(clock::now() - self.token_lifetime);
    }

    fn list(&self) -> RwLockWriteGuard<'_, RevocationList> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was committed since `mark`, and says where to go on.
    ///
    /// # Errors
    /// The database's; the list stays as it was.
    pub(crate) async fn catch_up(&self, pool: &Pool, mark: &Mark) -> anyhow::Result<Mark> {
        let mut connection = pool.get().await?;
        let (fresh, mark) = revocations::since(&mut connection, mark).await?;
        drop(connection);
        let mut list = self.list();
        for revocation in &fresh {
            list.add(revocation);
        }
        Ok(mark)
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.list.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What the token verifier asks.
    pub(crate) fn judge(&self) -> IsRevoked {
        let list = self.list.clone();
        Arc::new(move |principal: &Principal| {
            let list = list.read().unwrap_or_else(PoisonError::into_inner);
            list.ends(&Issued {
                user_id: principal.user_id,
                session_id: principal.session_id,
                token_id: principal.token_id,
                issued_at: principal.issued_at,
            })
        })
    }
}
