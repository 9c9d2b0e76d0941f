//! Finds PostgreSQL's programs and the account to run them as.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, geteuid};

use crate::error::{Error, IoContext, Result};
use crate::process::{Account, which};

/// Where Debian puts each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// PostgreSQL's programs, and the account they run as when this program is root's (the server refuses root).
#[derive(Debug, Clone)]
pub struct Installation {
    programs: PathBuf,
    account: Option<Account>,
}

impl Installation {
    /// Looks in PATH, then for the newest of Debian's packages.
    pub fn find() -> Result<Self> {
        // behind a link: not all of them need be linked to
        let programs = which("initdb")
            .and_then(|link| link.canonicalize().ok())
            .and_then(|file| file.parent().map(Path::to_owned))
            .or_else(newest_of_debian)
            .ok_or_else(|| Error::Missing {
                what: "PostgreSQL (initdb)".to_owned(),
                hint: "install it, e.g. apt-get install postgresql".to_owned(),
            })?;
        Ok(Self {
            programs,
            account: account()?,
        })
    }

    /// Path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Account to run as; `None` is this program's own.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Fails when the account cannot reach `directory`, e.g. inside root's home.
    pub fn check_reach(&self, directory: &Path) -> Result<()> {
        let Some(account) = self.account() else {
            return Ok(());
        };
        for part in directory.ancestors().skip(1) {
            let seen = part.metadata().at("look at", part)?;
            let bit = if seen.uid() == account.uid {
                0o100
            } else if seen.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            if seen.mode() & bit == 0 {
                return Err(Error::Missing {
                    what: format!(
                        "a way for the account {} to {}",
                        account.name,
                        directory.display()
                    ),
                    hint: format!(
                        "PostgreSQL does not run as root; open {} to it, choose another directory, or run as an \
                         ordinary user",
                        part.display()
                    ),
                });
            }
        }
        Ok(())
    }
}

impl Account {
    /// A command that runs `program` as this account.
    pub(super) fn command(&self, program: &Path) -> Result<Command> {
        let launcher = which("setpriv").ok_or_else(|| Error::Missing {
            what: "setpriv".to_owned(),
            hint: "install util-linux, or run as an ordinary user".to_owned(),
        })?;
        let mut command = Command::new(launcher);
        command
            .arg(format!("--reuid={}", self.uid))
            .arg(format!("--regid={}", self.gid))
            .args(["--clear-groups", "--"])
            .arg(program);
        Ok(command)
    }
}

fn newest_of_debian() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok()?;
    versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| {
            Path::new(DEBIAN)
                .join(version.to_string())
                .join("bin/initdb")
                .is_file()
        })
        .max()
        .map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin"))
}

fn account() -> Result<Option<Account>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .ok_or_else(|| Error::Missing {
            what: "an account for PostgreSQL".to_owned(),
            hint: "it does not run as root: make a user postgres, or run as an ordinary user".to_owned(),
        })?;
    Ok(Some(Account {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    }))
}
