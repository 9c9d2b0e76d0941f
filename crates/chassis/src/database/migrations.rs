//! Migrations: by one process at a time, and never long in the way of the services that run.
//!
//! A statement that changes a table waits for those who use it, and everybody who comes later waits behind it. So each
//! migration waits for a lock only as long as [`MigrationSettings::lock_timeout_ms`], is rolled back, and is tried again
//! until [`MigrationSettings::wait_s`] is over.
//!
//! A migration with `run_in_transaction = false` consists of one statement that makes an index concurrently, and is
//! named after the index. Its waits block nobody and may be as long as `wait_s`. An index that an earlier attempt left
//! behind unfinished is dropped first.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::Migration;
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{ConnectError, alone};
use crate::settings::MigrationSettings;

/// Held while migrations run, so that of two replicas one waits for the other.
const MIGRATION_LOCK: i64 = 0x5175_6164_7269_6c6c;
/// How often it is asked for.
const LOCK_POLL: Duration = Duration::from_millis(100);
/// The first pause after a migration that could not have a lock, doubled up to the next …
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// … at most this.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How an error of this SQLSTATE is marked: a lock was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "[55P03]";

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Session = AsyncConnectionWrapper<AsyncPgConnection>;

/// Why the schema is not what the program needs.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is no connection to the database.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A statement between the migrations failed.
    #[error("cannot prepare the session of the migrations")]
    Session(#[from] diesel::result::Error),
    /// Another process has been migrating all the time.
    #[error(
        "another process has been migrating this database for {0:?}; run it again when that one has ended"
    )]
    Busy(Duration),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(Failure),
    /// A table was in use all the time.
    #[error(
        "{name} did not get its locks within {waited:?}, and nothing of it is applied; run it again: {error}"
    )]
    Locked {
        /// The migration.
        name: String,
        /// How long it was tried.
        waited: Duration,
        /// What the database said last.
        error: Failure,
    },
    /// The thread that ran the migrations died.
    #[error("the migration thread died")]
    Thread(#[from] tokio::task::JoinError),
}

/// Runs the migrations that are pending, with the default limits, and says which. Safe when several replicas start at
/// once.
///
/// # Errors
/// As [`migrate_within`].
pub async fn migrate(
    url: &SecretString,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, MigrateError> {
    migrate_within(&MigrationSettings::default(), url, migrations).await
}

/// Runs the migrations that are pending, within the limits of `settings`, and says which.
///
/// # Errors
/// When the database cannot be reached, a migration fails, or a lock is not to be had; those before it stay applied, and
/// nothing of it does.
pub async fn migrate_within(
    settings: &MigrationSettings,
    url: &SecretString,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, MigrateError> {
    let connection = alone(url).await?;
    let settings = settings.clone();
    // The lock goes with the connection, which ends here whatever happens.
    tokio::task::spawn_blocking(move || {
        let mut run = Run {
            session: connection.into(),
            settings,
        };
        run.take_lock()?;
        run.pending(migrations)
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

/// One run of `migrate`, on a thread of its own.
struct Run {
    session: Session,
    settings: MigrationSettings,
}

impl Run {
    /// Polls. A session that waits in a statement has a snapshot, for which an index that another `migrate` makes
    /// concurrently would wait in turn.
    fn take_lock(&mut self) -> Result<(), MigrateError> {
        let begun = Instant::now();
        while !self.try_lock()? {
            if begun.elapsed() >= self.settings.wait() {
                return Err(MigrateError::Busy(self.settings.wait()));
            }
            pause(LOCK_POLL);
        }
        Ok(())
    }

    fn try_lock(&mut self) -> QueryResult<bool> {
        #[derive(QueryableByName)]
        struct Answer {
            #[diesel(sql_type = Bool)]
            held: bool,
        }
        let answer: Answer = diesel::sql_query("select pg_try_advisory_lock($1) as held")
            .bind::<BigInt, _>(MIGRATION_LOCK)
            .get_result(&mut self.session)?;
        Ok(answer.held)
    }

    fn pending(&mut self, migrations: EmbeddedMigrations) -> Result<Vec<String>, MigrateError> {
        let pending = self
            .session
            .pending_migrations(migrations)
            .map_err(MigrateError::Migration)?;
        crate::crossing!("migration.locked");
        let mut applied = Vec::with_capacity(pending.len());
        for migration in &pending {
            applied.push(self.apply(migration)?);
            crate::crossing!("migration.applied");
        }
        Ok(applied)
    }

    fn apply(&mut self, migration: &dyn Migration<Pg>) -> Result<String, MigrateError> {
        let name = migration.name().to_string();
        let begun = Instant::now();
        let mut next_pause = PAUSE_MIN;
        loop {
            self.prepare(migration, &name)?;
            let error = match self.session.run_migration(migration) {
                Ok(version) => return Ok(version.to_string()),
                Err(error) => error,
            };
            if !is_lock_timeout(&error) {
                return Err(MigrateError::Migration(error));
            }
            let waited = begun.elapsed();
            if waited >= self.settings.wait() {
                return Err(MigrateError::Locked { name, waited, error });
            }
            if next_pause == PAUSE_MIN {
                tracing::warn!(
                    migration.name = name,
                    error.message = %error,
                    "a migration did not get its locks and is tried again"
                );
            }
            pause(next_pause);
            next_pause = next_pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    /// Says how long a statement of the migration will wait for a lock, and clears away what is in its way.
    fn prepare(&mut self, migration: &dyn Migration<Pg>, name: &str) -> QueryResult<()> {
        let in_transaction = migration.metadata().run_in_transaction();
        let limit = if in_transaction {
            self.settings.lock_timeout()
        } else {
            self.settings.wait()
        };
        self.session
            .batch_execute(&format!("set lock_timeout = {}", limit.as_millis().max(1)))?;
        if !in_transaction {
            self.drop_unfinished_index(name)?;
        }
        Ok(())
    }

    /// What a `create index concurrently` leaves behind that was broken off: kept up to date by every write, used by
    /// nobody, and in the way of `if not exists`.
    fn drop_unfinished_index(&mut self, migration: &str) -> QueryResult<()> {
        #[derive(QueryableByName)]
        struct Index {
            #[diesel(sql_type = Text)]
            name: String,
        }
        let Some((_version, index)) = migration.split_once('_') else {
            return Ok(());
        };
        let unfinished: Vec<Index> = diesel::sql_query(
            "select c.oid::regclass::text as name from pg_index i join pg_class c on c.oid = i.indexrelid
             where not i.indisvalid and c.relname = $1",
        )
        .bind::<Text, _>(index)
        .load(&mut self.session)?;
        for index in unfinished {
            self.session
                .batch_execute(&format!("drop index concurrently if exists {}", index.name))?;
        }
        Ok(())
    }
}

/// `diesel_migrations` keeps an error's text only, in which its code is.
fn is_lock_timeout(error: &Failure) -> bool {
    error.to_string().contains(LOCK_NOT_AVAILABLE)
}

/// On the thread of the migrations.
fn pause(length: Duration) {
    Handle::current().block_on(tokio::time::sleep(length));
}
