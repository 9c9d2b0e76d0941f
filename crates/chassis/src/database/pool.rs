//! The pool, which keeps no connection that is of no use any more.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::PoolableConnection;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

use super::connect::{ConnectError, connect};
use super::wire::{Generation, Wire};
use crate::settings::DatabaseSettings;

/// How long a connection that comes back may take to finish what it was last asked. Usually it has; an answer that
/// nobody waits for any more, because its request was dropped or its time was up, is not waited for longer.
const BUSY_MAX: Duration = Duration::from_millis(100);

/// The server looks whether the client is still there while a statement runs, so that what was given up stops and gives
/// its locks back; where the server can (PostgreSQL 14).
const LOOK_AFTER: &str = "SELECT set_config(name, '1000', false) FROM pg_settings \
                          WHERE name = 'client_connection_check_interval'";

/// Why there is no connection to be had.
pub type PoolError = managed::PoolError<ConnectError>;

/// A pool of connections to the service's database.
#[derive(Debug, Clone)]
pub struct Pool(managed::Pool<Manager>);

impl Pool {
    /// Builds it. Nothing is connected yet; connections will be established on the runtime that this is called from.
    pub(super) fn new(settings: &DatabaseSettings, size: usize) -> Result<Self, managed::BuildError> {
        let setup = format!(
            "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET timezone = 'UTC'; {LOOK_AFTER}",
            settings.statement_timeout_ms, settings.idle_in_transaction_timeout_ms
        );
        let manager = Manager {
            url: settings.url.clone(),
            setup,
            runtime: Handle::current(),
            generations: Arc::default(),
        };
        let wait = Duration::from_millis(settings.wait_timeout_ms);
        managed::Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(wait))
            .create_timeout(Some(wait))
            .recycle_timeout(Some(wait))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map(Self)
    }

    /// A connection, which comes back to the pool when it is dropped.
    ///
    /// # Errors
    /// [`PoolError`] when none is free in time or none can be made.
    pub async fn get(&self) -> Result<Connection, PoolError> {
        let session = self.0.get().await?;
        Ok(Connection {
            _guard: Guard(session.wire.clone()),
            session,
        })
    }

    /// How many connections there are, and how many of them are free.
    #[must_use]
    pub fn status(&self) -> managed::Status {
        self.0.status()
    }
}

/// A connection out of the pool.
#[derive(Debug)]
pub struct Connection {
    // dropped first
    _guard: Guard,
    session: managed::Object<Manager>,
}

impl Connection {
    /// Takes it out of the pool for good: whatever its session holds ends with it.
    #[must_use]
    pub fn take(self) -> Session {
        managed::Object::take(self.session)
    }
}

impl Deref for Connection {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.session.connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.session.connection
    }
}

/// Ends a connection that comes back with a transaction open: whoever began it was dropped, and its locks are not kept
/// until the connection is next used.
#[derive(Debug)]
struct Guard(Arc<Wire>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.is_in_transaction() {
            self.0.close();
        }
    }
}

/// A session of one's own. Dropping it ends it.
pub struct Session {
    connection: AsyncPgConnection,
    wire: Arc<Wire>,
}

impl Session {
    /// Whether its server takes no writes any more, or it is of no use for another reason that no later statement will
    /// get over. It is then to be dropped.
    #[must_use]
    pub fn is_spoiled(&self) -> bool {
        self.wire.is_spoiled()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

impl Deref for Session {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection
    }
}

/// Makes connections and looks at those that come back.
struct Manager {
    url: SecretString,
    setup: String,
    runtime: Handle,
    generations: Arc<Generation>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}

impl managed::Manager for Manager {
    type Type = Session;
    type Error = ConnectError;

    async fn create(&self) -> Result<Session, ConnectError> {
        let (url, setup) = (self.url.clone(), self.setup.clone());
        let generations = self.generations.clone();
        let task = self
            .runtime
            .spawn(async move { connect(url.expose_secret(), &setup, &generations).await });
        let (connection, wire) = task.await??;
        Ok(Session { connection, wire })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<ConnectError> {
        let idle = tokio::time::timeout(BUSY_MAX, session.wire.idle()).await;
        if idle.is_err() {
            return Err(RecycleError::message(
                "its last statement was given up and is still running",
            ));
        }
        if session.wire.is_spoiled() || session.wire.is_in_transaction() || session.connection.is_broken() {
            return Err(RecycleError::message("it is of no use any more"));
        }
        Ok(())
    }
}
