//! Connecting to a name that has several addresses (RFC 8305): one that does not answer costs a moment, not the call.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// How long an attempt is alone before the next address is tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The first connection that comes about. All addresses are tried, for as long as the caller waits.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream> {
    let mut waiting = in_turns(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failed = Error::from(ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(TcpStream::connect(address));
        }
        let next_at = Instant::now() + ATTEMPT_DELAY;
        let more = waiting.len() > 0;
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failed = error,
                None => return Err(failed),
            },
            () = sleep_until(next_at), if more => {}
        }
    }
}

/// IPv6 and IPv4 by turns, the first one's family first: a family that leads nowhere delays by one attempt.
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = Vec::with_capacity(addresses.len());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return turns,
            (a, b) => turns.extend(a.into_iter().chain(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let of = |texts: &[&str]| texts.iter().map(|text| address(text)).collect::<Vec<_>>();
        let found = of(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(
            in_turns(&found),
            of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(in_turns(&[]), []);
    }

    /// Addresses of TEST-NET-1 answer nothing at all, or are refused at once, as the machine's routes have it.
    #[tokio::test]
    async fn silent_and_refusing_addresses_before_a_good_one_cost_a_moment() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let mut addresses: Vec<SocketAddr> = (1..=5).map(|n| address(&format!("192.0.2.{n}:81"))).collect();
        addresses.push(address("127.0.0.1:1"));
        addresses.push(good);
        let begun = Instant::now();
        let stream = connect(&addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(begun.elapsed() < 20 * ATTEMPT_DELAY, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn when_nobody_answers_the_last_reason_is_told() {
        let refused = connect(&[address("127.0.0.1:1"), address("127.0.0.1:2")])
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(
            connect(&[]).await.unwrap_err().kind(),
            ErrorKind::AddrNotAvailable
        );
    }
}
