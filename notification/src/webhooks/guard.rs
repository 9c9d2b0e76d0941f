//! Which addresses are called: none inside our own network. A URL is checked as text when it is registered, and its
//! host is resolved and checked at registration and again at each delivery, which then connects to what was checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Host, Url};

/// Longest URL, in bytes.
pub(crate) const URL_LENGTH_MAX: usize = 2_048;
/// How long a name may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Names that mean something only inside a network.
const INSIDE: [&str; 5] = ["localhost", "local", "internal", "lan", "home.arpa"];
/// Azure's metadata service has a public address.
const AZURE_METADATA: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Blocks of IPv4 that are not the public internet (RFC 6890 and its followers): address and prefix length.
const NOT_PUBLIC: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Why an address is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    #[error("must be an absolute URL of at most {URL_LENGTH_MAX} bytes")]
    NoUrl,
    #[error("must be an https URL")]
    NotHttps,
    #[error("must not carry a user name or a password")]
    Credentials,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must be a public address")]
    NotPublic,
    #[error("has a host that cannot be resolved")]
    Unresolvable,
}

/// How names become addresses. Whoever owns a name may change that between two look-ups.
#[async_trait]
pub(crate) trait Resolver: Send + Sync {
    /// All addresses of a name, with that port.
    async fn addresses(&self, name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>>;
}

/// As this machine does it.
struct Machine;

#[async_trait]
impl Resolver for Machine {
    async fn addresses(&self, name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((name, port)).await?.collect())
    }
}

/// Says which addresses are called.
#[derive(Clone)]
pub(crate) struct Guard {
    /// Plain http, too.
    pub(crate) allow_insecure: bool,
    /// Addresses that are not public, too.
    pub(crate) allow_private: bool,
    pub(crate) resolver: Arc<dyn Resolver>,
}

impl Guard {
    /// A guard that resolves names as this machine does.
    pub(crate) fn new(allow_insecure: bool, allow_private: bool) -> Self {
        Self {
            allow_insecure,
            allow_private,
            resolver: Arc::new(Machine),
        }
    }

    /// The URL, if its text allows a call. Whatever way an address is written (decimal, hexadecimal, short), it is
    /// read here as it would be read at the call.
    pub(crate) fn url(&self, text: &str) -> Result<Url, Refused> {
        if text.len() > URL_LENGTH_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Refused::NoUrl);
        }
        let url = Url::parse(text).map_err(|_no_url: url::ParseError| Refused::NoUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_insecure => {}
            _ => return Err(Refused::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Refused::Fragment);
        }
        match url.host() {
            None => Err(Refused::NoUrl),
            Some(_) if self.allow_private => Ok(url),
            Some(Host::Domain(name)) if is_inside(name) => Err(Refused::NotPublic),
            Some(Host::Ipv4(ip)) if !is_public(IpAddr::V4(ip)) => Err(Refused::NotPublic),
            Some(Host::Ipv6(ip)) if !is_public(IpAddr::V6(ip)) => Err(Refused::NotPublic),
            Some(_) => Ok(url),
        }
    }

    /// Where to connect for `url`. All addresses of a name must be public: a name that has others besides is no
    /// mistake.
    pub(crate) async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, Refused> {
        let port = url.port_or_known_default().ok_or(Refused::NoUrl)?;
        let addresses: Vec<SocketAddr> = match url.host().ok_or(Refused::NoUrl)? {
            Host::Ipv4(ip) => vec![SocketAddr::new(IpAddr::V4(ip), port)],
            Host::Ipv6(ip) => vec![SocketAddr::new(IpAddr::V6(ip), port)],
            Host::Domain(name) => match timeout(RESOLVE_TIMEOUT, self.resolver.addresses(name, port)).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) | Err(_) => return Err(Refused::Unresolvable),
            },
        };
        if addresses.is_empty() {
            return Err(Refused::Unresolvable);
        }
        if !self.allow_private && addresses.iter().any(|address| !is_public(address.ip())) {
            return Err(Refused::NotPublic);
        }
        Ok(addresses)
    }
}

/// A name without a dot, or under one of [`INSIDE`].
fn is_inside(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let under = |suffix: &&str| {
        name.strip_suffix(*suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || INSIDE.iter().any(under)
}

/// Whether the address belongs to the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let within = |(block, length): &(Ipv4Addr, u32)| {
        let shift = 32_u32.saturating_sub(*length);
        ip.to_bits() >> shift == block.to_bits() >> shift
    };
    ip != AZURE_METADATA && !NOT_PUBLIC.iter().any(within)
}

/// Global unicast (2000::/3) without what leads elsewhere: protocol assignments with Teredo and ORCHID (2001::/23),
/// documentation (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16). Mapped and translated IPv4 addresses are outside of it.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    match (first, second) {
        (0x2001, 0..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff) => false,
        (first, _) => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict() -> Guard {
        Guard::new(false, false)
    }

    #[test]
    fn addresses_of_a_network_are_refused_however_they_are_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "168.63.129.16",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "[::1]",
            "[::]",
            "[::ffff:8.8.8.8]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:db8::1]",
            "[2001::1]",
            "localhost",
            "LOCALHOST.",
            "api.localhost",
            "metadata.google.internal",
            "printer.local",
            "intranet",
            "１２７.０.０.１",
        ] {
            let refused = strict().url(&format!("https://{host}/hook"));
            assert_eq!(refused, Err(Refused::NotPublic), "{host}");
        }
    }

    #[test]
    fn public_addresses_are_taken() {
        for host in [
            "8.8.8.8",
            "example.org",
            "172.32.0.1",
            "100.128.0.1",
            "[2606:4700::1111]",
            "example.org:8443",
        ] {
            assert!(
                strict().url(&format!("https://{host}/hook?key=1")).is_ok(),
                "{host}"
            );
        }
    }

    #[test]
    fn what_is_no_plain_https_url_is_refused() {
        let of = |text: &str| strict().url(text).unwrap_err();
        assert_eq!(of("http://example.org/"), Refused::NotHttps);
        assert_eq!(of("ftp://example.org/"), Refused::NotHttps);
        assert_eq!(of("file:///etc/passwd"), Refused::NotHttps);
        assert_eq!(of("https://a:b@example.org/"), Refused::Credentials);
        assert_eq!(of("https://example.org/#part"), Refused::Fragment);
        for text in [
            "",
            "/hook",
            "https://",
            "https://exa mple.org/",
            "https://example.org/\r\nx: y",
        ] {
            assert_eq!(of(text), Refused::NoUrl, "{text:?}");
        }
        assert_eq!(
            of(&format!("https://example.org/{}", "a".repeat(2_048))),
            Refused::NoUrl
        );
        let lax = Guard::new(true, false);
        assert!(lax.url("http://example.org/").is_ok());
        assert_eq!(lax.url("http://127.0.0.1/"), Err(Refused::NotPublic));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let lax = Guard::new(false, true);
        let url = Url::parse("https://localhost/hook").unwrap();
        assert_eq!(strict().resolve(&url).await, Err(Refused::NotPublic));
        assert_eq!(lax.resolve(&url).await.unwrap()[0].port(), 443);
        let nowhere = Url::parse("https://nowhere.invalid/").unwrap();
        assert_eq!(strict().resolve(&nowhere).await, Err(Refused::Unresolvable));
    }
}
