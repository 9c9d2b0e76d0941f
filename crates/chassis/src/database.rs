//! The service's database: connections, their pools, whose fault an error is, and migrations.

mod connect;
mod frames;
mod migrations;
mod passing;
mod pool;
mod sqlstate;
mod wire;

pub use connect::ConnectError;
pub use migrations::{MigrateError, migrate, migrate_within, pending_migrations};
pub use passing::{is_of_data, is_passing, sqlstate};
pub use pool::{Connection, Pool, PoolError, Session};

use std::sync::Arc;

use deadpool::managed::BuildError;
use diesel_async::AsyncPgConnection;
use secrecy::{ExposeSecret, SecretString};

use crate::settings::DatabaseSettings;

/// Builds the pool of requests. Nothing is connected yet.
///
/// Connections are established on the runtime this is called from, not on the HTTP worker that happens to
/// need one: workers are runtimes of their own that die first at a stop, and a connection's driver would die
/// with them.
///
/// # Errors
/// When the pool's configuration is contradictory.
pub fn pool(settings: &DatabaseSettings) -> Result<Pool, BuildError> {
    Pool::new(settings, settings.pool_size)
}

/// Builds the pool of what is not a request: a bulkhead, so that a crowd of requests holds up no message. Otherwise like
/// [`pool`].
///
/// # Errors
/// When the pool's configuration is contradictory.
pub fn background_pool(settings: &DatabaseSettings) -> Result<Pool, BuildError> {
    Pool::new(settings, settings.background_pool_size)
}

/// A connection outside of the pools, without their timeouts.
async fn alone(url: &SecretString) -> Result<AsyncPgConnection, ConnectError> {
    let (connection, _wire) = connect::connect(url.expose_secret(), "", &Arc::default()).await?;
    Ok(connection)
}
