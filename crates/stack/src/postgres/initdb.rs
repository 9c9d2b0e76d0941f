//! Makes a cluster's data directory.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::{Installation, Options, SUPERUSER};
use crate::error::{IoContext, Result};
use crate::process::run;

/// Runs initdb unless the data directory is complete, and returns the superuser's password. The directory gets
/// its final name only when it is complete, so that an initdb stopped half-way is begun anew.
pub(super) async fn prepare(installation: &Installation, options: &Options) -> Result<String> {
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

pub(super) fn read_password(directory: &Path) -> Result<String> {
    let secret = directory.join("superuser");
    std::fs::read_to_string(&secret).at("read", &secret)
}

impl Installation {
    /// Hands a file to the account that the server runs as.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        match self.account() {
            Some(account) => chown(path, Some(account.uid), Some(account.gid)).at("hand over", path),
            None => Ok(()),
        }
    }

    /// A command of PostgreSQL under the server's account.
    pub(super) fn command(&self, program: &str) -> Result<Command> {
        let Some(account) = self.account() else {
            return Ok(Command::new(self.program(program)));
        };
        let mut command = account.command(&self.program(program))?;
        command.current_dir("/");
        Ok(command)
    }
}
