//! A private PostgreSQL cluster: its own data directory, its own port, nothing of the machine's own server.

mod initdb;
mod install;
mod pooler;
mod server;
mod shared;
mod standby;
mod testdb;

pub use install::Installation;
pub use pooler::Pooler;
pub use testdb::TestDatabase;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio_postgres::{Client, NoTls};

use crate::error::{Error, Result};
use crate::process::{Lifetime, Process};
use initdb::{prepare, read_password};
use server::spawn;

/// The cluster's superuser.
pub const SUPERUSER: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(60);
/// SQLSTATE of a server that finds another one's shared memory.
const LOCK_FILE_EXISTS: &str = "F0001";

/// Where a cluster lives and how it is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of its own; `data` and the superuser's password are inside.
    pub directory: PathBuf,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Log file.
    pub log: PathBuf,
    /// Whether it ends with this program.
    pub lifetime: Lifetime,
    /// Environment on top of the inherited one.
    pub env: BTreeMap<String, String>,
    /// Limit of connections.
    pub connections: u16,
    /// Whether commits survive a crash of the machine (those of the server they always survive).
    pub durable: bool,
    /// The language of the server's messages, by its code.
    pub language: String,
}

impl Options {
    /// A cluster that ends with this program.
    pub fn new(directory: impl Into<PathBuf>, port: u16) -> Self {
        let directory = directory.into();
        Self {
            log: directory.join("postgres.log"),
            directory,
            port,
            lifetime: Lifetime::Tied(Signal::SIGQUIT),
            env: BTreeMap::new(),
            connections: 300,
            durable: true,
            language: "en".to_owned(),
        }
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    options: Options,
    installation: Installation,
    password: String,
    process: Process,
}

impl Postgres {
    /// Makes the cluster where there is none, starts it and waits until it answers.
    pub async fn start(options: Options) -> Result<Self> {
        let installation = Installation::find()?;
        let password = prepare(&installation, &options).await?;
        Self::launch(installation, options, password).await
    }

    async fn launch(installation: Installation, options: Options, password: String) -> Result<Self> {
        let process = spawn(&installation, &options)?;
        let mut postgres = Self {
            options,
            installation,
            password,
            process,
        };
        postgres.wait_until_ready().await?;
        Ok(postgres)
    }

    /// Takes over a cluster that an earlier program started; one that has just ended is started again.
    pub async fn adopt(options: Options, process: Process) -> Result<Self> {
        let password = read_password(&options.directory)?;
        let mut postgres = Self {
            installation: Installation::find()?,
            options,
            password,
            process,
        };
        match postgres.wait_until_ready().await {
            Err(_) if !postgres.process.is_running() => Self::start(postgres.options).await,
            Err(error) => Err(error),
            Ok(()) => Ok(postgres),
        }
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// The server's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// URL of a database for the superuser.
    pub fn admin_url(&self, database: &str) -> String {
        url(SUPERUSER, &self.password, self.options.port, database)
    }

    /// A connection of the superuser.
    pub async fn admin(&self, database: &str) -> Result<Client> {
        connect(&self.admin_url(database)).await
    }

    /// Makes the role and the database `name` where they are missing, sets the role's password, and lets nobody
    /// but the role open the database. Returns its URL.
    pub async fn ensure_database(&self, name: &str, password: &str) -> Result<String> {
        let admin = self.admin("postgres").await?;
        let role = admin
            .query_opt("select 1 from pg_roles where rolname = $1", &[&name])
            .await?;
        let quoted = format!("\"{name}\"");
        let verb = if role.is_some() { "alter" } else { "create" };
        admin
            .batch_execute(&format!("{verb} role {quoted} login password '{password}'"))
            .await?;
        let database = admin
            .query_opt("select 1 from pg_database where datname = $1", &[&name])
            .await?;
        if database.is_none() {
            admin
                .batch_execute(&format!("create database {quoted} owner {quoted}"))
                .await?;
        }
        admin
            .batch_execute(&format!("revoke all on database {quoted} from public"))
            .await?;
        Ok(url(name, password, self.options.port, name))
    }

    /// Stops the server: `SIGINT` ends its sessions and writes a checkpoint.
    pub async fn stop(&mut self) {
        self.process.stop(Signal::SIGINT, Duration::from_secs(20)).await;
    }

    /// Kills the server with no chance to tidy up.
    pub async fn kill9(&mut self) {
        self.process.kill().await;
    }

    /// Starts the server again on the same data and port.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        self.process = spawn(&self.installation, &self.options)?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        let url = self.admin_url("postgres");
        loop {
            let reason = match connect(&url).await {
                Ok(_) => return Ok(()),
                Err(error) => crate::error::chain(&error),
            };
            if !self.process.is_running() {
                let tail = self.process.log_tail();
                // The children of a killed server may hold its shared memory for a moment longer.
                if tail.contains(&format!("[{LOCK_FILE_EXISTS}]")) && begin.elapsed() < PATIENCE {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    self.process = spawn(&self.installation, &self.options)?;
                    continue;
                }
                return Err(not_ready(
                    begin,
                    format!("the server ended; the end of its log:\n{tail}"),
                ));
            }
            if begin.elapsed() > PATIENCE {
                return Err(not_ready(begin, reason));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn not_ready(begin: Instant, reason: String) -> Error {
    Error::NotReady {
        what: "postgres".to_owned(),
        waited: begin.elapsed(),
        reason,
    }
}

/// Connection URL of a role on 127.0.0.1.
pub(crate) fn url(role: &str, password: &str, port: u16, database: &str) -> String {
    format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}")
}

/// Opens a connection and drives it in the background until the client is dropped.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the task ends with the client that it serves"
    )]
    tokio::spawn(async move {
        // Its end shows in the client's next statement.
        let _ = connection.await;
    });
    Ok(client)
}
