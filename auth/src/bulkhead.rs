//! The database connections that requests with a password may hold at a time: fewer than there are, so that whatever holds
//! those requests up there (a lock on the failures of an account, a slow write) leaves some to everybody else.
//!
//! A request that is given up in the middle of a statement leaves a connection on which that statement still runs, and
//! whoever took it next would wait for its end. Such a connection does not go back to the pool.

use std::sync::Arc;

use chassis::Pool;
use chassis::problem::Problem;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::Conn;

/// A share of the pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bulkhead {
    pool: Pool,
    connections: Arc<Semaphore>,
}

impl Bulkhead {
    /// So many of the pool's connections.
    pub(crate) fn new(pool: Pool, connections: usize) -> Self {
        Self {
            pool,
            connections: Arc::new(Semaphore::new(connections)),
        }
    }

    /// Does something with a connection, as soon as there is one: whoever has no time to wait bounds it.
    ///
    /// # Errors
    /// 503 when the pool has none, and whatever `work` ends with.
    pub(crate) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let (_permit, connection) = self.lend().await?;
        let mut held = Held(None);
        let outcome = work(held.0.insert(connection)).await;
        held.give_back();
        outcome
    }

    /// A connection for work that is never given up in the middle.
    ///
    /// # Errors
    /// 503 when the pool has none.
    pub(crate) async fn lend(&self) -> Result<(SemaphorePermit<'_>, chassis::Connection), Problem> {
        let permit = self.connections.acquire().await;
        let permit = permit.map_err(Problem::internal)?;
        Ok((permit, self.pool.get().await?))
    }
}

/// A connection in use. Dropped without being given back, it is closed.
struct Held(Option<chassis::Connection>);

impl Held {
    /// No statement runs on it any more.
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.take().map(chassis::Connection::take));
    }
}
