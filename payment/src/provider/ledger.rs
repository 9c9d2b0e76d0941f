//! The way to what a provider keeps its own books in.

use std::time::Duration;

use chassis::Pool;
use chassis::database::Connection;
use messaging::Conn;
use thiserror::Error;
use tokio::time::timeout;

use super::{ProviderError, unreachable};

/// Where a provider writes down what it must not forget. Asking it has a limit of its own: a database that says nothing
/// is down for everybody, and says nothing about the payment.
#[derive(Clone)]
pub struct Ledger {
    pool: Pool,
    patience: Duration,
}

#[derive(Debug, Error)]
#[error("the database did not answer within {} ms", .0.as_millis())]
struct Silent(Duration);

impl Ledger {
    /// Books in the database of `pool`, each entry for no longer than `patience`.
    #[must_use]
    pub fn new(pool: Pool, patience: Duration) -> Self {
        Self { pool, patience }
    }

    /// Reads or writes an entry. The connection is held for no longer than that.
    pub(super) async fn entry<T, E>(
        &self,
        entry: impl AsyncFnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<T, ProviderError>
    where
        ProviderError: From<E>,
    {
        let mut conn = self.pool.get().await.map_err(unreachable)?;
        let Ok(done) = timeout(self.patience, entry(&mut conn)).await else {
            // it may still be busy with it, so it is not used again
            drop(Connection::take(conn));
            return Err(unreachable(Silent(self.patience)));
        };
        Ok(done?)
    }
}
