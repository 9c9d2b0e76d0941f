//! The service's database: pool and migrations.

mod migrations;
mod passing;

pub use migrations::{MigrateError, migrate, migrate_within, pending_migrations};
pub use passing::{is_of_data, is_passing};

use std::time::Duration;

use diesel_async::pooled_connection::deadpool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures::FutureExt;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use crate::settings::DatabaseSettings;

/// A pool of connections to the service's database.
pub type Pool = deadpool::Pool<AsyncPgConnection>;
/// A connection out of the pool.
pub type Connection = deadpool::Object<AsyncPgConnection>;

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
