//! One cluster for all the test processes of a user on this machine.
//!
//! Each test process holds a shared lock on the file `users`. The cluster is kept by a guardian, a small shell
//! process that waits for the exclusive lock: the kernel frees a lock however its holder ends, so the guardian
//! gets it once the last test process is gone, stops the server while it holds it, and ends. Nothing is left running, and the data
//! directory stays for the next run, which then needs no initdb.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::initdb::{prepare, read_password};
use super::server::server_settings;
use super::{Installation, Options, Postgres, connect, url};
use crate::error::{Error, IoContext, Result};
use crate::ports;
use crate::process::{Launch, Lifetime, which};

/// Runs the server until no test process is left. `$1` is the lock file, the rest is the server's command. The
/// server gets a fast shutdown (`SIGINT`) also when the guardian itself is killed.
const GUARDIAN: &str = r#"
users=$1; shift
"$@" & server=$!
exec 9>>"$users"
flock --exclusive 9
kill -INT $server
wait $server
"#;

/// The shared cluster, in use by this process until it ends.
#[derive(Debug)]
pub(super) struct Shared {
    port: u16,
    password: String,
    _in_use: File,
}

impl Shared {
    /// Joins the running cluster, or starts it.
    pub(super) async fn join() -> Result<Self> {
        let directory = ports::scratch("postgres");
        std::fs::create_dir_all(&directory).at("create", &directory)?;
        let in_use = lock_file(&directory.join("users"))?;
        let starting = lock_file(&directory.join("starting"))?;
        let (in_use, starting) = tokio::task::spawn_blocking(move || {
            // In this order: the guardian holds the first one while it stops the server.
            in_use
                .lock_shared()
                .and_then(|()| starting.lock())
                .map(|()| (in_use, starting))
        })
        .await
        .map_err(|gone| Error::Invalid(gone.to_string()))?
        .at("lock", &directory)?;
        let (port, password) = match running(&directory).await {
            Some(found) => found,
            None => start(&directory).await?,
        };
        drop(starting);
        Ok(Self {
            port,
            password,
            _in_use: in_use,
        })
    }

    /// URL of a database for the superuser.
    pub(super) fn url(&self, database: &str) -> String {
        url(super::SUPERUSER, &self.password, self.port, database)
    }
}

fn lock_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .at("open", path)
}

fn cluster(directory: &Path) -> PathBuf {
    directory.join("cluster")
}

async fn running(directory: &Path) -> Option<(u16, String)> {
    let port = std::fs::read_to_string(directory.join("port"))
        .ok()?
        .parse()
        .ok()?;
    let password = read_password(&cluster(directory)).ok()?;
    connect(&url(super::SUPERUSER, &password, port, "postgres"))
        .await
        .ok()?;
    Some((port, password))
}

async fn start(directory: &Path) -> Result<(u16, String)> {
    let lease = ports::lease()?;
    let mut options = Options::new(cluster(directory), lease.port());
    options.connections = 400;
    // what is in it is not worth the waiting for the disk
    options.durable = false;
    let installation = Installation::find()?;
    let password = prepare(&installation, &options).await?;
    let process = guardian(directory, &installation, &options)?.start()?;
    let mut postgres = Postgres {
        options,
        installation,
        password: password.clone(),
        process,
    };
    postgres.wait_until_ready().await?;
    let file = directory.join("port");
    std::fs::write(&file, lease.port().to_string()).at("write", &file)?;
    drop_leftovers(&postgres).await?;
    Ok((lease.port(), password))
}

fn guardian(directory: &Path, installation: &Installation, options: &Options) -> Result<Launch> {
    which("flock").ok_or_else(|| Error::Missing {
        what: "flock".to_owned(),
        hint: "install util-linux".to_owned(),
    })?;
    let data = options.directory.join("data");
    let mut server = vec![
        directory.join("users").display().to_string(),
        "setpriv".to_owned(),
    ];
    server.extend(["--pdeathsig".to_owned(), "INT".to_owned()]);
    if let Some(account) = installation.account() {
        server.extend([
            format!("--reuid={}", account.uid),
            format!("--regid={}", account.gid),
            "--clear-groups".to_owned(),
        ]);
    }
    server.extend([
        "--".to_owned(),
        installation.program("postgres").display().to_string(),
        "-D".to_owned(),
        data.display().to_string(),
    ]);
    server.extend(server_settings(options));
    Ok(Launch::new("postgres", "/bin/sh", &options.log)
        .args(["-c", GUARDIAN, "quadrille-test-postgres"])
        .args(server)
        .lifetime(Lifetime::Detached))
}

/// Drops the databases of test processes that were killed.
async fn drop_leftovers(postgres: &Postgres) -> Result<()> {
    let admin = postgres.admin("postgres").await?;
    let named = "select datname from pg_database where not datistemplate and datname <> 'postgres'";
    for row in admin.query(named, &[]).await? {
        let name: String = row.get(0);
        admin
            .batch_execute(&format!("drop database \"{name}\" with (force)"))
            .await?;
    }
    Ok(())
}

/// Patience for the answer to a request to the shared cluster.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
