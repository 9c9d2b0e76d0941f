//! Files of the state directory: what runs, and the secrets of this stack. All of them are readable by their
//! owner alone.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};
use crate::kafka::Kind;
use crate::process::Process;

/// `stack.json`: what runs natively.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct State {
    /// The broker, once it has been started.
    pub broker: Option<Broker>,
    /// Every process, in the order of its start.
    pub processes: Vec<Entry>,
}

/// The broker's address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Broker {
    /// Which broker.
    pub kind: Kind,
    /// Address for clients, `host:port`.
    pub address: String,
}

/// One process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Name, e.g. `order`.
    pub name: String,
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot, so that a later process with the same id is not taken for it.
    pub started: u64,
    /// Ports on 127.0.0.1 by purpose.
    pub ports: BTreeMap<String, u16>,
    /// Log file.
    pub log: PathBuf,
    /// URL of its database, with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
}

impl Entry {
    /// The process, when it still runs.
    pub fn find(&self) -> Option<Process> {
        Process::find(&self.name, self.pid, self.started, &self.log)
    }
}

impl State {
    fn path(directory: &Path) -> PathBuf {
        directory.join("stack.json")
    }

    /// Reads the state; a directory without one gives an empty state.
    pub fn load(directory: &Path) -> Result<Self> {
        Ok(read(&Self::path(directory))?.unwrap_or_default())
    }

    /// Writes the state.
    pub fn save(&self, directory: &Path) -> Result<()> {
        write(&Self::path(directory), self)
    }

    /// The entry called `name`.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.processes.iter().find(|entry| entry.name == name)
    }

    /// Records a started process in the place of an earlier one of its name.
    pub fn record(&mut self, entry: Entry) {
        match self.processes.iter_mut().find(|other| other.name == entry.name) {
            Some(earlier) => *earlier = entry,
            None => self.processes.push(entry),
        }
    }
}

/// `admin.json`: the first admin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Admin {
    /// E-mail address to log in with.
    pub email: String,
    /// Password.
    pub password: String,
}

impl Admin {
    fn path(directory: &Path) -> PathBuf {
        directory.join("admin.json")
    }

    /// Reads the admin, or makes up a password for a new one.
    pub fn load_or_invent(directory: &Path) -> Result<Self> {
        let invented = || Self {
            email: "admin@quadrille.example".to_owned(),
            password: crate::secret(),
        };
        Ok(Self::load(directory)?.unwrap_or_else(invented))
    }

    /// Reads the admin.
    pub fn load(directory: &Path) -> Result<Option<Self>> {
        read(&Self::path(directory))
    }

    /// Writes the admin.
    pub fn save(&self, directory: &Path) -> Result<()> {
        write(&Self::path(directory), self)
    }
}

/// Passwords of the database roles, kept over restarts.
pub(crate) fn role_passwords<'a>(
    directory: &Path,
    roles: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>> {
    let path = directory.join("roles.json");
    let mut passwords: BTreeMap<String, String> = read(&path)?.unwrap_or_default();
    for role in roles {
        passwords.entry(role.to_owned()).or_insert_with(crate::secret);
    }
    write(&path, &passwords)?;
    Ok(passwords)
}

/// The key that the auth service seals its signing keys with, kept over restarts: without it they do not open.
pub(crate) fn key_encryption_key(directory: &Path) -> Result<String> {
    key(directory, "auth")
}

/// What the services sign the cursors of lists with: the same in all their replicas.
pub(crate) fn cursor_secret(directory: &Path) -> Result<String> {
    key(directory, "cursors")
}

fn key(directory: &Path, name: &str) -> Result<String> {
    let path = directory.join("keys.json");
    let mut keys: BTreeMap<String, String> = read(&path)?.unwrap_or_default();
    let key = keys.entry(name.to_owned()).or_insert_with(|| {
        let bytes: [u8; 32] = rand::random();
        base64::engine::general_purpose::STANDARD.encode(bytes)
    });
    let key = key.clone();
    write(&path, &keys)?;
    Ok(key)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| Error::State {
                path: path.to_owned(),
                source,
            }),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", path),
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Error::State {
        path: path.to_owned(),
        source,
    })?;
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .at("write", &part)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .at("write", &part)?;
    std::fs::rename(&part, path).at("write", path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let admin = Admin::load_or_invent(directory.path()).unwrap();
        admin.save(directory.path()).unwrap();
        assert_eq!(
            Admin::load_or_invent(directory.path()).unwrap().password,
            admin.password
        );
        let mode = directory
            .path()
            .join("admin.json")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_role_keeps_its_password() {
        let directory = tempfile::tempdir().unwrap();
        let first = role_passwords(directory.path(), ["order"]).unwrap();
        let second = role_passwords(directory.path(), ["order", "payment"]).unwrap();
        assert_eq!(first.get("order"), second.get("order"));
        assert_eq!(second.len(), 2);
    }

    #[test]
    fn a_recycled_pid_is_not_taken_for_the_process() {
        let entry = Entry {
            name: "order".to_owned(),
            pid: std::process::id(),
            started: 1,
            ports: BTreeMap::new(),
            log: PathBuf::new(),
            database_url: None,
        };
        assert!(entry.find().is_none());
    }

    #[test]
    fn the_key_encryption_key_stays_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = key_encryption_key(directory.path()).unwrap();
        assert_eq!(first.len(), 44);
        let cursors = cursor_secret(directory.path()).unwrap();
        assert_ne!(cursors, first);
        assert_eq!(cursor_secret(directory.path()).unwrap(), cursors);
        assert_eq!(key_encryption_key(directory.path()).unwrap(), first);
        let file = directory.path().join("keys.json").metadata().unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
}
