//! A TCP proxy whose connections can be cut, held up and delayed.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::ports::{self, Lease};

/// How the way is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Way {
    /// Connections that were opened under another number are cut.
    epoch: u64,
    /// How much later each piece arrives.
    delay: Duration,
    /// Nothing arrives, and nobody is told.
    held: bool,
}

/// A proxy on a port of its own. It ends with this value.
#[derive(Debug)]
pub struct Proxy {
    lease: Arc<Lease>,
    way: watch::Sender<Way>,
    target: watch::Sender<u16>,
    tasks: JoinSet<()>,
}

impl Proxy {
    /// A port for a proxy that is opened later.
    pub fn lease() -> Result<Lease> {
        ports::lease()
    }

    /// Takes connections on a leased port to `target` on this machine, whether something listens there or not.
    pub async fn open(lease: Lease, target: u16) -> Result<Self> {
        Self::open_at(Ipv4Addr::LOCALHOST, Arc::new(lease), target).await
    }

    /// As [`Self::open`], at one of the addresses 127.0.0.0/8. At different ones, several proxies can share a port.
    pub async fn open_at(address: Ipv4Addr, lease: Arc<Lease>, target: u16) -> Result<Self> {
        let listener = TcpListener::bind((address, lease.port()))
            .await
            .map_err(|error| Error::Invalid(format!("the proxy cannot listen: {error}")))?;
        let (way, look) = watch::channel(Way::default());
        let (target, towards) = watch::channel(target);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, towards, look));
        Ok(Self {
            lease,
            way,
            target,
            tasks,
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.lease.port()
    }

    /// Cuts every connection. New ones are taken.
    pub fn cut(&self) {
        self.way.send_modify(|way| way.epoch = way.epoch.wrapping_add(1));
    }

    /// Lets each piece arrive so much later.
    pub fn delay(&self, delay: Duration) {
        self.way.send_modify(|way| way.delay = delay);
    }

    /// Holds everything back, as a network does that has lost its way: neither end is told.
    pub fn hold(&self, held: bool) {
        self.way.send_modify(|way| way.held = held);
    }

    /// Leads new connections elsewhere, as a name does that is given to another address. Those that are open stay.
    pub fn lead_to(&self, target: u16) {
        self.target.send_replace(target);
    }

    /// Whether it still works.
    pub fn is_open(&self) -> bool {
        !self.tasks.is_empty()
    }
}

async fn accept(listener: TcpListener, target: watch::Receiver<u16>, way: watch::Receiver<Way>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    let target = *target.borrow();
                    links.spawn(link(client, target, way.clone()));
                }
            }
            Some(_) = links.join_next() => {}
        }
    }
}

/// One connection; dropping the sockets is what cuts it.
async fn link(client: TcpStream, target: u16, mut way: watch::Receiver<Way>) {
    let epoch = way.borrow().epoch;
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (there, back) = (way.clone(), way.clone());
    tokio::select! {
        // either end closing ends both ways: nobody here half-closes
        () = pump(from_client, to_server, there) => {}
        () = pump(from_server, to_client, back) => {}
        _ = way.wait_for(|way| way.epoch != epoch) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let delay = match way.wait_for(|way| !way.held).await {
            Ok(way) => way.delay,
            Err(_closed) => return,
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let piece = buffer.get(..count).unwrap_or_default();
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}
