//! PgBouncer in front of a server, as one finds it in installations that nobody should run the platform in.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio_postgres::config::Config;

use super::{Installation, not_ready, url};
use crate::error::{Error, IoContext, Result};
use crate::ports::{self, Lease};
use crate::process::{Launch, Lifetime, Process, which};

const PATIENCE: Duration = Duration::from_secs(20);
/// Where Debian puts what is not for everybody.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// A pooler on a port of its own. It ends with this value.
#[derive(Debug)]
pub struct Pooler {
    url: String,
    _process: Process,
    _lease: Lease,
    _directory: tempfile::TempDir,
}

impl Pooler {
    /// Starts one in front of the server of `target`; `mode` is PgBouncer's `pool_mode`.
    pub async fn start(target: &str, mode: &str) -> Result<Self> {
        let program = which("pgbouncer").unwrap_or_else(|| DEBIAN.into());
        if !program.exists() {
            return Err(Error::Missing {
                what: "PgBouncer".to_owned(),
                hint: "scripts/setup test installs it".to_owned(),
            });
        }
        let config: Config = target.parse()?;
        let user = config.get_user().unwrap_or_default();
        let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
        let server = config.get_ports().first().copied().unwrap_or(5432);
        let (lease, directory) = (ports::lease()?, crate::temporary()?);
        let (users, settings) = (
            directory.path().join("users"),
            directory.path().join("pgbouncer.ini"),
        );
        std::fs::write(&users, format!("\"{user}\" \"{password}\"\n")).at("write", &users)?;
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
            lease.port(),
            users.display()
        );
        std::fs::write(&settings, text).at("write", &settings)?;
        let installation = Installation::find()?;
        for path in [directory.path(), &users, &settings] {
            installation.give(path)?;
        }
        let mut process = Launch::new("pgbouncer", program, directory.path().join("pgbouncer.log"))
            .args([settings.display().to_string()])
            .account(installation.account().cloned())
            .lifetime(Lifetime::Tied(Signal::SIGTERM))
            .start()?;
        let database = config.get_dbname().unwrap_or_default();
        let begin = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", lease.port()))
            .await
            .is_err()
        {
            if !process.is_running() || begin.elapsed() > PATIENCE {
                return Err(not_ready(begin, process.log_tail()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            url: url(user, &password, lease.port(), database),
            _process: process,
            _lease: lease,
            _directory: directory,
        })
    }

    /// URL of the database, through it.
    pub fn url(&self) -> &str {
        &self.url
    }
}
