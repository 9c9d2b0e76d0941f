//! Who a request comes from, as far as that says anything.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use ipnet::{IpNet, Ipv6Net};

const FORWARDED_FOR: &str = "x-forwarded-for";
/// The smallest IPv6 network that is handed out; its owner may use any of its 2^64 addresses.
const IPV6_NETWORK_BITS: u8 = 64;

/// The address that a request came from. A proxy says for whom it calls; the gateway says it in the right-most element,
/// having removed whatever its client claimed. Of anybody else the word is not taken.
pub(crate) fn address(request: &HttpRequest, trusted: &[IpNet]) -> IpAddr {
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    if !trusted.iter().any(|network| network.contains(&peer)) {
        return peer;
    }
    let forwarded = request
        .headers()
        .get_all(FORWARDED_FOR)
        .last()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next())
        .and_then(|last| last.trim().parse::<IpAddr>().ok());
    forwarded.map_or(peer, |address| address.to_canonical())
}

/// The network that one client controls: an IPv4 address alone, the first 64 bits of an IPv6 address.
pub(crate) fn network(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(_) => IpNet::from(address),
        IpAddr::V6(address) => Ipv6Net::new(address, IPV6_NETWORK_BITS).map_or_else(
            |_impossible| IpNet::from(IpAddr::V6(address)),
            |net| net.trunc().into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    const GATEWAY: &str = "10.0.0.7:40000";

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for value in forwarded {
            request = request.append_header((FORWARDED_FOR, *value));
        }
        network(address(&request.to_http_request(), &trusted)).to_string()
    }

    #[test]
    fn the_gateways_word_is_taken_and_nobody_elses() {
        assert_eq!(seen(GATEWAY, &["192.0.2.1"]), "192.0.2.1/32");
        assert_eq!(seen("192.0.2.9:1", &["192.0.2.1"]), "192.0.2.9/32");
        assert_eq!(seen(GATEWAY, &[]), "10.0.0.7/32");
    }

    #[test]
    fn the_right_most_element_counts() {
        assert_eq!(seen(GATEWAY, &["198.51.100.1, 192.0.2.1"]), "192.0.2.1/32");
        assert_eq!(seen(GATEWAY, &["198.51.100.1", "192.0.2.1"]), "192.0.2.1/32");
        assert_eq!(seen(GATEWAY, &["192.0.2.1, nonsense"]), "10.0.0.7/32");
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        assert_eq!(seen(GATEWAY, &["2001:db8:1:2::1"]), "2001:db8:1:2::/64");
        assert_eq!(seen(GATEWAY, &["2001:db8:1:2:ffff::9"]), "2001:db8:1:2::/64");
        assert_eq!(seen(GATEWAY, &["::ffff:192.0.2.1"]), "192.0.2.1/32");
        assert_eq!(seen("[::ffff:10.0.0.7]:1", &["192.0.2.1"]), "192.0.2.1/32");
    }

    /// Addresses, lists of them, and bytes of any kind.
    fn header() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            any::<IpAddr>().prop_map(|address| address.to_string().into_bytes()),
            "[0-9a-f:., ]{0,40}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn whatever_a_proxy_says_somebody_is_counted_and_their_network_has_them(
            peer in any::<std::net::SocketAddr>(),
            said in prop::collection::vec(header(), 0..3),
            everybody_is_a_proxy in any::<bool>(),
        ) {
            let mut request = TestRequest::default().peer_addr(peer);
            for value in said.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
                request = request.append_header((FORWARDED_FOR, value));
            }
            let everybody = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
            let trusted = if everybody_is_a_proxy { &everybody[..] } else { &[] };
            let address = address(&request.to_http_request(), trusted);
            prop_assert!(network(address).contains(&address));
            prop_assert_eq!(address, address.to_canonical());
            prop_assert!(everybody_is_a_proxy || address == peer.ip().to_canonical());
        }
    }
}
