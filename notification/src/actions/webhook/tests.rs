//! A name that leads elsewhere at each look-up.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::webhooks::Resolver;

const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

/// Gives each look-up the next address.
struct Rebinding(Mutex<VecDeque<Ipv4Addr>>);

#[async_trait]
impl Resolver for Rebinding {
    async fn addresses(&self, name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        assert_eq!(name, "shop.example.org");
        let next = self.0.lock().unwrap().pop_front();
        let ip = next.ok_or_else(|| std::io::Error::other("looked up once more"))?;
        Ok(vec![SocketAddr::new(IpAddr::V4(ip), port)])
    }
}

/// A guard whose name leads to these addresses, one after the other, and the addresses that are left.
fn guard(allow_private: bool, addresses: &[Ipv4Addr]) -> (Guard, Arc<Rebinding>) {
    let resolver = Arc::new(Rebinding(Mutex::new(addresses.iter().copied().collect())));
    let guard = Guard {
        resolver: resolver.clone(),
        ..Guard::new(true, allow_private)
    };
    (guard, resolver)
}

fn caller(guard: Guard) -> Caller {
    Caller::new(guard, Vec::new(), Duration::from_secs(10), 4_096, 256).unwrap()
}

fn message() -> Message {
    Message {
        id: "1".to_owned(),
        timestamp: 1,
        signature: "v1,".to_owned(),
        body: b"{}".to_vec(),
    }
}

#[tokio::test]
async fn a_name_that_was_public_when_it_was_registered_leads_nowhere_inside_at_the_call() {
    let inside = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    inside.set_nonblocking(true).unwrap();
    let address = format!(
        "http://shop.example.org:{}/hook",
        inside.local_addr().unwrap().port()
    );
    let (guard, resolver) = guard(false, &[PUBLIC, Ipv4Addr::LOCALHOST, PUBLIC]);

    let registered = guard.url(&address).unwrap();
    assert_eq!(guard.resolve(&registered).await.unwrap()[0].ip(), PUBLIC);
    let refused = caller(guard)
        .call(registered.as_str(), message())
        .await
        .unwrap_err();

    assert_eq!(class_of(&refused), "address-not-allowed");
    assert_eq!(resolver.0.lock().unwrap().len(), 1, "one look-up a call");
    let nobody = inside.accept().unwrap_err();
    assert_eq!(
        nobody.kind(),
        std::io::ErrorKind::WouldBlock,
        "nobody has connected"
    );
}

#[tokio::test]
async fn a_call_connects_to_the_address_that_was_looked_at() {
    let receiver = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!(
        "http://shop.example.org:{}/hook",
        receiver.local_addr().unwrap().port()
    );
    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    let (guard, resolver) = guard(true, &[Ipv4Addr::LOCALHOST, elsewhere]);
    let answering = async {
        let (mut stream, _) = receiver.accept().await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"{}") {
            assert!(stream.read_buf(&mut got).await.unwrap() > 0);
        }
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let caller = caller(guard);
    let (answer, _stream) = tokio::join!(caller.call(&address, message()), answering);
    assert_eq!(answer.unwrap().status, 204);
    assert_eq!(*resolver.0.lock().unwrap(), [elsewhere], "one look-up a call");
}
