//! A broker that clients know by a name, which can come to mean another address.
//!
//! On a container network a broker that is started anew gets another address, and the old one is dead: nothing answers
//! there, and nobody is told. Here each address is one of 127.0.0.0/8 with a proxy on it. The services look the name up in a
//! file of their own, by `libnss_wrapper` (it stands before the C library's resolver and reads the file anew when it has
//! changed).

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::Proxy;
use crate::error::{Error, IoContext, Result};
use crate::ports::Lease;

const NAME: &str = "broker.quadrille.test";
const LIBRARY: &str = "libnss_wrapper.so";

/// The name, the file that says what it means, and the proxies at its addresses.
#[derive(Debug)]
pub struct NamedBroker {
    directory: TempDir,
    library: PathBuf,
    lease: Arc<Lease>,
    /// The broker's own port, at 127.0.0.1.
    target: u16,
    /// The last byte of its address.
    host: u8,
    proxy: Proxy,
    /// Where it was before: silent, but there, or connections would be refused and clients told.
    left: Option<Proxy>,
}

impl NamedBroker {
    /// Gives the broker that listens on `target` a name and a first address.
    ///
    /// # Errors
    /// When `libnss_wrapper` is not installed, or nothing can listen at the address.
    pub async fn open(target: u16) -> Result<Self> {
        let library = library()?;
        let directory = crate::temporary()?;
        let lease = Arc::new(Proxy::lease()?);
        let host = 10;
        let proxy = Proxy::open_at(address(host), lease.clone(), target).await?;
        let named = Self {
            directory,
            library,
            lease,
            target,
            host,
            proxy,
            left: None,
        };
        named.point()?;
        Ok(named)
    }

    /// Where clients are told to come, `host:port`, at every address.
    pub fn advertised(&self) -> String {
        format!("{NAME}:{}", self.lease.port())
    }

    /// What a process must have in its environment to know the name.
    pub fn env(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("NSS_WRAPPER_HOSTS", self.hosts().display().to_string()),
        ]
    }

    /// The way to the broker at its present address.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The present address goes silent: what is sent there vanishes, and no connection is closed.
    pub fn vanish(&self) {
        self.proxy.hold(true);
    }

    /// The broker is at another address, and its name means that one. The old address stays silent.
    ///
    /// # Errors
    /// When nothing can listen there, or the file cannot be written.
    pub async fn reappear(&mut self) -> Result<()> {
        self.vanish();
        self.host = if self.host == u8::MAX { 10 } else { self.host + 1 };
        let next = Proxy::open_at(address(self.host), self.lease.clone(), self.target).await?;
        self.left = Some(std::mem::replace(&mut self.proxy, next));
        self.point()
    }

    fn hosts(&self) -> PathBuf {
        self.directory.path().join("hosts")
    }

    /// Writes what the name means, whole or not at all.
    fn point(&self) -> Result<()> {
        let (hosts, part) = (self.hosts(), self.directory.path().join("hosts.part"));
        std::fs::write(&part, format!("{} {NAME}\n", address(self.host))).at("write", &part)?;
        std::fs::rename(&part, &hosts).at("write", &hosts)
    }
}

fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, host)
}

fn library() -> Result<PathBuf> {
    let places = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(Path::new);
    let multiarch = places.iter().flat_map(|place| {
        let entries = std::fs::read_dir(place).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
    });
    let places = places.iter().map(|place| (*place).to_owned()).chain(multiarch);
    let mut files = places.map(|place| place.join(LIBRARY));
    files.find(|file| file.exists()).ok_or_else(|| Error::Missing {
        what: LIBRARY.to_owned(),
        hint: "install the Debian package libnss-wrapper (scripts/setup chaos does)".to_owned(),
    })
}
