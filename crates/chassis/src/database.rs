//! The service's database: connections, their pools, whose fault an error is, and migrations.

mod connect;
mod frames;
mod passing;
mod pool;
mod sqlstate;
mod wire;

pub use connect::ConnectError;
pub use passing::{is_of_data, is_passing, sqlstate};
pub use pool::{Connection, Pool, PoolError, Session};

use std::sync::Arc;

use deadpool::managed::BuildError;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use secrecy::{ExposeSecret, SecretString};

use crate::settings::DatabaseSettings;

/// Held while migrations run, so that of two replicas one waits for the other.
const MIGRATION_LOCK: i64 = 0x5175_6164_7269_6c6c;

/// Why the schema is not what the program needs.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is no connection to the database.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A statement failed.
    #[error("cannot take the migration lock")]
    Lock(#[from] diesel::result::Error),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(Box<dyn std::error::Error + Send + Sync>),
    /// The thread that ran the migrations died.
    #[error("the migration thread died")]
    Thread(#[from] tokio::task::JoinError),
}

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

/// Runs the migrations that are pending, and says which. Safe when several replicas start at once.
///
/// # Errors
/// When the database cannot be reached or a migration fails; those before it stay applied.
pub async fn migrate(
    url: &SecretString,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, MigrateError> {
    let mut connection = alone(url).await?;
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(MIGRATION_LOCK)
        .execute(&mut connection)
        .await?;
    // The lock goes with the connection, which ends here whatever happens.
    tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(connection);
        let pending = harness
            .pending_migrations(migrations)
            .map_err(MigrateError::Migration)?;
        crate::crossing!("migration.locked");
        let mut applied = Vec::with_capacity(pending.len());
        for migration in &pending {
            let version = harness
                .run_migration(migration)
                .map_err(MigrateError::Migration)?;
            applied.push(version.to_string());
            crate::crossing!("migration.applied");
        }
        Ok(applied)
    })
    .await?
}

/// How many migrations are still to run.
///
/// # Errors
/// When the database cannot be reached.
pub async fn pending_migrations(
    url: &SecretString,
    migrations: EmbeddedMigrations,
) -> Result<usize, MigrateError> {
    let connection = alone(url).await?;
    tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(connection);
        Ok(harness
            .pending_migrations(migrations)
            .map_err(MigrateError::Migration)?
            .len())
    })
    .await?
}
