//! A private PostgreSQL cluster: its own data directory, its own port, nothing of the machine's own server.

mod install;
mod shared;
mod testdb;

pub use install::Installation;
pub use testdb::TestDatabase;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio_postgres::{Client, NoTls};

use crate::error::{Error, IoContext, Result};
use crate::process::{Launch, Lifetime, Process, run};

/// The cluster's superuser.
pub const SUPERUSER: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// Limit of connections.
    pub connections: u16,
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
            connections: 200,
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

    /// Takes over a cluster that an earlier program started.
    pub fn adopt(options: Options, process: Process) -> Result<Self> {
        let password = read_password(&options.directory)?;
        Ok(Self {
            installation: Installation::find()?,
            options,
            password,
            process,
        })
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
        let verb = if role.is_some() { "alter" } else { "create" };
        admin
            .batch_execute(&format!("{verb} role {name} login password '{password}'"))
            .await?;
        let database = admin
            .query_opt("select 1 from pg_database where datname = $1", &[&name])
            .await?;
        if database.is_none() {
            admin
                .batch_execute(&format!("create database {name} owner {name}"))
                .await?;
        }
        admin
            .batch_execute(&format!("revoke all on database {name} from public"))
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
                Err(error) => error.to_string(),
            };
            if !self.process.is_running() {
                let tail = self.process.log_tail();
                // The children of a killed server may hold its shared memory for a moment longer.
                if tail.contains("is still in use") && begin.elapsed() < PATIENCE {
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
    tokio::spawn(async move {
        // Its end shows in the client's next statement.
        let _ = connection.await;
    });
    Ok(client)
}

/// Runs initdb unless the data directory is complete, and returns the superuser's password. The directory gets
/// its final name only when it is complete, so that an initdb stopped half-way is begun anew.
async fn prepare(installation: &Installation, options: &Options) -> Result<String> {
    let directory = &options.directory;
    let data = directory.join("data");
    if data.join("PG_VERSION").exists() {
        return read_password(directory);
    }
    std::fs::create_dir_all(directory).at("create", directory)?;
    installation.check_reach(directory)?;
    installation.give(directory)?;
    let (fresh, secret) = (directory.join("data.new"), directory.join("superuser"));
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).at("remove", &fresh)?;
    }
    let password = crate::secret();
    std::fs::write(&secret, &password).at("write", &secret)?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).at("protect", &secret)?;
    installation.give(&secret)?;
    let mut initdb = installation.command("initdb")?;
    initdb
        .arg("--pgdata")
        .arg(&fresh)
        .arg("--pwfile")
        .arg(&secret)
        .args([
            "--username",
            SUPERUSER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        ]);
    run(initdb).await?;
    std::fs::rename(&fresh, &data).at("rename", &fresh)?;
    Ok(password)
}

fn read_password(directory: &Path) -> Result<String> {
    let secret = directory.join("superuser");
    std::fs::read_to_string(&secret).at("read", &secret)
}

fn spawn(installation: &Installation, options: &Options) -> Result<Process> {
    let data = options.directory.join("data");
    Launch::new("postgres", installation.program("postgres"), &options.log)
        .args(["-D".to_owned(), data.display().to_string()])
        .args(server_settings(options, &data))
        .account(installation.account().cloned())
        .lifetime(options.lifetime)
        .start()
}

/// Settings for a machine that is shared with everything else, durable as in production.
fn server_settings(options: &Options, data: &Path) -> Vec<String> {
    // The path of a Unix socket has room for 107 bytes.
    let socket = if data.as_os_str().len() < 85 {
        data.display().to_string()
    } else {
        String::new()
    };
    let settings = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &options.port.to_string()),
        ("unix_socket_directories", &socket),
        ("max_connections", &options.connections.to_string()),
        ("shared_buffers", "256MB"),
        ("wal_buffers", "16MB"),
        ("max_wal_size", "2GB"),
        ("checkpoint_timeout", "10min"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("autovacuum_naptime", "10s"),
        ("random_page_cost", "1.1"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("log_min_duration_statement", "1s"),
        ("log_line_prefix", "%m [%p] %u@%d "),
    ];
    settings
        .iter()
        .flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")])
        .collect()
}

impl Installation {
    /// Hands a file to the account that the server runs as.
    fn give(&self, path: &Path) -> Result<()> {
        match self.account() {
            Some(account) => chown(path, Some(account.uid), Some(account.gid)).at("hand over", path),
            None => Ok(()),
        }
    }

    /// A command of PostgreSQL under the server's account.
    fn command(&self, program: &str) -> Result<Command> {
        let Some(account) = self.account() else {
            return Ok(Command::new(self.program(program)));
        };
        let mut command = account.command(&self.program(program))?;
        command.current_dir("/");
        Ok(command)
    }
}
