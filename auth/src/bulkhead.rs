//! The database connections that requests with a password may hold at a time: fewer than there are, so that whatever holds
//! those requests up there (a lock on the failures of an account, a slow write) leaves some to everybody else.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use chassis::Pool;
use chassis::problem::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::Conn;

/// A share of the pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bulkhead {
    pool: Pool,
    connections: Arc<Semaphore>,
}

/// A connection out of the share.
pub(crate) struct SharedConnection {
    connection: chassis::Connection,
    _permit: OwnedSemaphorePermit,
}

impl Bulkhead {
    /// So many of the pool's connections.
    pub(crate) fn new(pool: Pool, connections: usize) -> Self {
        Self {
            pool,
            connections: Arc::new(Semaphore::new(connections)),
        }
    }

    /// One of them, as soon as there is one: whoever has no time to wait bounds it.
    ///
    /// # Errors
    /// 503 when the pool has none.
    pub(crate) async fn connection(&self) -> Result<SharedConnection, Problem> {
        let permit = Arc::clone(&self.connections)
            .acquire_owned()
            .await
            .map_err(Problem::internal)?;
        Ok(SharedConnection {
            connection: self.pool.get().await?,
            _permit: permit,
        })
    }
}

impl Deref for SharedConnection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.connection
    }
}

impl DerefMut for SharedConnection {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.connection
    }
}
