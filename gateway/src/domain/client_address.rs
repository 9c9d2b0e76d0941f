//! Where a request comes from, and who it is counted against without a token.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::Deserialize;

/// Hops that are looked at, from the right. No honest chain of proxies is longer.
const HOPS_MAX: usize = 32;

/// Networks, as configuration names them: `10.0.0.0/8`, `fd00::/8`, or single addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Networks(Vec<IpNet>);

impl TryFrom<Vec<String>> for Networks {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let network = |text: &String| {
            let single = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse()
                .or_else(|_not_a_network| single())
                .map_err(|_neither| format!("{text:?} is neither an address nor a network"))
        };
        texts.iter().map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl Networks {
    /// Whether an address belongs to one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client's address: that of the connection, or, where that is a trusted proxy, the right-most hop of
/// `X-Forwarded-For` that is not one. What stands left of it anybody may have written. `forwarded` are the header's
/// values in their order.
#[must_use]
pub fn client<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &Networks,
) -> IpAddr {
    let mut client = peer.to_canonical();
    let hops = forwarded.rev().flat_map(|value| value.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        if !trusted.contain(client) {
            break;
        }
        // a hop that cannot be read ends what can be believed: the proxy that passed it on is the client
        let Some(address) = hop_address(hop.trim()) else {
            break;
        };
        client = address;
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:8080`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:8080`.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_with_port| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The part of an address that one client controls: all of an IPv4 address, the first 64 bits of an IPv6
/// address (the smallest network that is handed out; its owner may use any of its 2^64 addresses).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// An IPv4 address, also when it came mapped into IPv6.
    V4([u8; 4]),
    /// The network prefix of an IPv6 address.
    V6([u16; 4]),
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn networks(texts: &[&str]) -> Networks {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        texts.try_into().unwrap()
    }

    fn behind(peer: &str, forwarded: &[&str]) -> String {
        let trusted = networks(&["10.0.0.0/8", "fd00::/8", "192.0.2.9"]);
        client(peer.parse().unwrap(), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_a_trusted_proxy() {
        assert_eq!(behind("198.51.100.1", &["203.0.113.7"]), "198.51.100.1");
    }

    #[test]
    fn behind_proxies_the_right_most_hop_that_is_none_is_the_client() {
        for (forwarded, client) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
            (&["1.1.1.1, 203.0.113.7, 10.1.1.1"], "203.0.113.7"),
            (&["1.1.1.1", "203.0.113.7:4711, 192.0.2.9"], "203.0.113.7"),
            (&["[2001:db8::7]:80"], "2001:db8::7"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["1.1.1.1, nonsense, 10.1.1.1"], "10.1.1.1"),
            (&["1.1.1.1, unknown"], "10.0.0.1"),
            (&["10.1.1.1, 10.1.1.2"], "10.1.1.1"),
            (&[], "10.0.0.1"),
            (&[""], "10.0.0.1"),
        ] {
            assert_eq!(behind("10.0.0.1", forwarded), client, "{forwarded:?}");
            assert_eq!(behind("::ffff:10.0.0.1", forwarded), client, "{forwarded:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_at_start() {
        for text in ["", "10.0.0.0/33", "localhost", "10.0.0"] {
            assert!(Networks::try_from(vec![text.to_owned()]).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(values in proptest::collection::vec(".{0,60}", 0..4)) {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            let _ = behind("10.0.0.1", &values);
        }

        #[test]
        fn whatever_a_client_writes_the_proxys_word_counts(forged in "[0-9a-f:., ]{0,60}") {
            let value = format!("{forged}, 203.0.113.7");
            prop_assert_eq!(behind("10.0.0.1", &[&value]), "203.0.113.7");
        }
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        assert_eq!(counted("2001:db8:1:2::1"), counted("2001:db8:1:2:ffff::9"));
        assert_ne!(counted("2001:db8:1:2::1"), counted("2001:db8:1:3::1"));
    }

    #[test]
    fn a_mapped_address_is_the_same_client() {
        assert_eq!(counted("::ffff:192.0.2.7"), counted("192.0.2.7"));
        assert_ne!(counted("192.0.2.7"), counted("192.0.2.8"));
    }
}
