//! The service's database: pool and migrations.

mod passing;

pub use passing::{is_of_data, is_passing};

use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel_async::pooled_connection::deadpool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{
    AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;

use crate::settings::DatabaseSettings;

/// A pool of connections to the service's database.
pub type Pool = deadpool::Pool<AsyncPgConnection>;
/// A connection out of the pool.
pub type Connection = deadpool::Object<AsyncPgConnection>;

/// Held while migrations run, so that of two replicas one waits for the other.
const MIGRATION_LOCK: i64 = 0x5175_6164_7269_6c6c;

/// Why the schema is not what the program needs.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be reached.
    #[error("cannot connect to the database")]
    Connect(#[from] diesel::ConnectionError),
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
pub fn pool(settings: &DatabaseSettings) -> Result<Pool, deadpool::BuildError> {
    pool_of(settings, settings.pool_size)
}

/// Builds the pool of what is not a request: a bulkhead, so that a crowd of requests holds up no message. Otherwise like
/// [`pool`].
///
/// # Errors
/// When the pool's configuration is contradictory.
pub fn background_pool(settings: &DatabaseSettings) -> Result<Pool, deadpool::BuildError> {
    pool_of(settings, settings.background_pool_size)
}

fn pool_of(settings: &DatabaseSettings, size: usize) -> Result<Pool, deadpool::BuildError> {
    let runtime = Handle::current();
    let setup = format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET timezone = 'UTC'",
        settings.statement_timeout_ms, settings.idle_in_transaction_timeout_ms
    );
    let mut config = ManagerConfig::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |url: &str| {
        let (url, setup, runtime) = (url.to_owned(), setup.clone(), runtime.clone());
        async move {
            let task = runtime.spawn(async move { establish(&url, &setup).await });
            match task.await {
                Ok(connection) => connection,
                Err(died) => Err(diesel::ConnectionError::BadConnection(died.to_string())),
            }
        }
        .boxed()
    });
    let manager = AsyncDieselConnectionManager::new_with_config(settings.url.expose_secret(), config);
    let wait = Duration::from_millis(settings.wait_timeout_ms);
    Pool::builder(manager)
        .max_size(size)
        .wait_timeout(Some(wait))
        .create_timeout(Some(wait))
        .recycle_timeout(Some(wait))
        .runtime(::deadpool::Runtime::Tokio1)
        .build()
}

async fn establish(url: &str, setup: &str) -> diesel::ConnectionResult<AsyncPgConnection> {
    let mut connection = AsyncPgConnection::establish(url).await?;
    connection
        .batch_execute(setup)
        .await
        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
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
    let mut connection = AsyncPgConnection::establish(url.expose_secret()).await?;
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
    let connection = AsyncPgConnection::establish(url.expose_secret()).await?;
    tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(connection);
        Ok(harness
            .pending_migrations(migrations)
            .map_err(MigrateError::Migration)?
            .len())
    })
    .await?
}
