//! Ports that no two stacks of one user share.
//!
//! A free port found by binding port 0 can be gone again before the child binds it. So ports are leased: each is
//! held through an exclusive lock on a file of its own for as long as the lease lives, outside the range from
//! which the kernel takes the local ports of outgoing connections.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use crate::error::{Error, IoContext, Result};

const FIRST: u16 = 12_000;
const LAST: u16 = 31_999;

/// A port that is this holder's until it drops the lease.
#[derive(Debug)]
pub struct Lease {
    port: u16,
    _lock: File,
}

impl Lease {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Leases one port on 127.0.0.1.
pub fn lease() -> Result<Lease> {
    for _ in 0..1_000 {
        if let Some(lease) = try_lease(rand::random_range(FIRST..=LAST))? {
            return Ok(lease);
        }
    }
    Err(Error::Missing {
        what: "a free port".to_owned(),
        hint: format!("none of {FIRST} to {LAST} could be had on 127.0.0.1"),
    })
}

/// Leases this port, unless it is leased or taken.
pub fn try_lease(port: u16) -> Result<Option<Lease>> {
    let directory = scratch("ports");
    std::fs::create_dir_all(&directory).at("create", &directory)?;
    let path = directory.join(port.to_string());
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .at("open", &path)?;
    let ours = lock.try_lock().is_ok() && is_free(port);
    Ok(ours.then_some(Lease { port, _lock: lock }))
}

/// True when nothing listens on the port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A directory of this user for what test processes share.
pub(crate) fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir()
        .join(format!("quadrille-{}", nix::unistd::geteuid()))
        .join(name)
}
