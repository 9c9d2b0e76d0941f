//! Which headers pass the gateway. Names are lower case, as the HTTP layer normalises them.

/// Headers that describe one connection and are never forwarded (RFC 9110, section 7.6.1, and their
/// predecessors), with those that the gateway's own HTTP client writes: `host`, `content-length`, `expect`.
const CONNECTION_BOUND: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that only the gateway may state: services and their logs would believe them.
const STATED_BY_THE_GATEWAY: [&str; 5] = [
    "forwarded",
    "traceparent",
    "tracestate",
    "x-real-ip",
    "x-request-id",
];

/// Headers by which other proxies, frameworks and programs are told who calls, or that another request was meant.
/// Nobody behind the gateway asks for them, and nobody shall begin to.
const DANGEROUS: [&str; 16] = [
    "baggage",
    "cf-connecting-ip",
    "fastly-client-ip",
    "proxy",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
];

/// Headers by which a service would tell what it is built with.
const TALKATIVE: [&str; 3] = ["server", "via", "x-powered-by"];

/// Families of headers that only the gateway may state, or nobody at all.
const STATED_BY_THE_GATEWAY_PREFIXES: [&str; 3] = ["x-forwarded-", "x-remote-", "x-user-"];

/// Options of a `Connection` header name further headers of that connection. A list longer than this is nobody's honest
/// message.
const CONNECTION_OPTIONS_MAX: usize = 16;

/// The headers that a `Connection` header declares to belong to the connection.
#[derive(Debug, Clone, Default)]
pub struct ConnectionOptions<'a> {
    names: Vec<&'a str>,
}

impl<'a> ConnectionOptions<'a> {
    /// Reads the values of all `Connection` headers. Allocates only when one names another header.
    ///
    /// # Errors
    /// Why it cannot be told which headers end here: none may be passed on then.
    pub fn parse(values: impl Iterator<Item = &'a [u8]>) -> Result<Self, &'static str> {
        let mut names = Vec::new();
        for value in values {
            let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
            let text = text.ok_or("the Connection header cannot be read")?;
            let options = text.split(',').map(str::trim);
            names.extend(options.filter(|name| !name.is_empty() && !is_plain_option(name)));
            if names.len() > CONNECTION_OPTIONS_MAX {
                return Err("the Connection header names too many headers");
            }
        }
        Ok(Self { names })
    }

    fn names(&self, header: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(header))
    }
}

/// Options that name no header that would not be dropped anyway.
fn is_plain_option(option: &str) -> bool {
    ["close", "keep-alive", "upgrade", "te"]
        .iter()
        .any(|plain| option.eq_ignore_ascii_case(plain))
}

/// Whether a client's header is passed to the service.
#[must_use]
pub fn passes_to_service(name: &str, options: &ConnectionOptions<'_>) -> bool {
    !CONNECTION_BOUND.contains(&name)
        && !STATED_BY_THE_GATEWAY.contains(&name)
        && !DANGEROUS.contains(&name)
        && !STATED_BY_THE_GATEWAY_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        && !options.names(name)
}

/// Whether a service's header is passed to the client.
#[must_use]
pub fn passes_to_client(name: &str, options: &ConnectionOptions<'_>) -> bool {
    !CONNECTION_BOUND.contains(&name)
        && !TALKATIVE.contains(&name)
        && name != "x-request-id"
        && !options.names(name)
}

/// The size of a list of headers, by the lengths of their names and values, as HTTP/2 counts it (RFC 9113, section 6.5.2).
pub fn list_bytes(lengths: impl Iterator<Item = (usize, usize)>) -> usize {
    lengths.fold(0, |sum: usize, (name, value)| {
        sum.saturating_add(name).saturating_add(value).saturating_add(32)
    })
}

/// Why a request's headers are not even looked at, by their names in the order in which they came. Programs that read
/// `-` and `_` as one take `X_User_Id` for `X-User-Id`; of two hosts, or two tokens, two programs may take different
/// ones.
#[must_use]
pub fn refusal<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    let (mut hosts, mut authorizations) = (0_usize, 0_usize);
    for name in names {
        if name.contains('_') {
            return Some("a header's name has an underscore");
        }
        hosts += usize::from(name == "host");
        authorizations += usize::from(name == "authorization");
    }
    match (hosts, authorizations) {
        (2.., _) => Some("there is more than one Host header"),
        (_, 2..) => Some("there is more than one Authorization header"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn none() -> ConnectionOptions<'static> {
        ConnectionOptions::default()
    }

    #[test]
    fn what_a_service_needs_passes() {
        for name in [
            "accept",
            "authorization",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "last-event-id",
            "user-agent",
        ] {
            assert!(passes_to_service(name, &none()), "{name}");
        }
        for name in [
            "content-type",
            "etag",
            "link",
            "location",
            "retry-after",
            "set-cookie",
            "www-authenticate",
        ] {
            assert!(passes_to_client(name, &none()), "{name}");
        }
    }

    #[test]
    fn what_a_client_could_forge_does_not() {
        for name in [
            "x-user-id",
            "x-user-roles",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded",
            "x-original-forwarded-for",
            "x-remote-addr",
            "x-remote-user",
            "forwarded",
            "x-real-ip",
            "x-request-id",
            "traceparent",
            "x-http-method-override",
            "x-original-url",
            "true-client-ip",
        ] {
            assert!(!passes_to_service(name, &none()), "{name}");
        }
    }

    #[test]
    fn what_two_programs_could_read_differently_is_refused() {
        for names in [
            &["x_user_id"][..],
            &["host", "content_length"],
            &["host", "accept", "host"],
            &["authorization", "authorization"],
        ] {
            assert!(refusal(names.iter().copied()).is_some(), "{names:?}");
        }
        let usual = ["host", "authorization", "accept", "accept", "x-forwarded-for"];
        assert_eq!(refusal(usual.into_iter()), None);
    }

    #[test]
    fn a_service_does_not_tell_what_it_is_built_with() {
        for name in TALKATIVE {
            assert!(!passes_to_client(name, &none()), "{name}");
        }
    }

    #[test]
    fn the_connection_keeps_its_own() {
        for name in CONNECTION_BOUND {
            assert!(!passes_to_service(name, &none()), "{name}");
            assert!(!passes_to_client(name, &none()), "{name}");
        }
    }

    #[test]
    fn a_connection_header_names_more_of_them() {
        let values = ["close, X-Secret-Hop", " ,te,,Foo "];
        let options = ConnectionOptions::parse(values.into_iter().map(str::as_bytes)).unwrap();
        assert!(!passes_to_service("x-secret-hop", &options));
        assert!(!passes_to_client("foo", &options));
        assert!(passes_to_service("x-other", &options));
    }

    #[test]
    fn an_ordinary_connection_header_costs_no_allocation() {
        let usual = std::iter::once(&b"Keep-Alive, Upgrade"[..]);
        assert_eq!(ConnectionOptions::parse(usual).unwrap().names.capacity(), 0);
    }

    #[test]
    fn a_connection_header_that_cannot_be_obeyed_is_refused() {
        let names: Vec<_> = (0..=CONNECTION_OPTIONS_MAX)
            .map(|number| format!("x-{number}"))
            .collect();
        let as_many_as_may_be = names[1..].join(", ");
        assert!(ConnectionOptions::parse(std::iter::once(as_many_as_may_be.as_bytes())).is_ok());
        let in_one = names.join(",");
        assert!(ConnectionOptions::parse(std::iter::once(in_one.as_bytes())).is_err());
        assert!(ConnectionOptions::parse(names.iter().map(String::as_bytes)).is_err());
        for unreadable in [&b"close, x-\xff"[..], "x-\u{e9}".as_bytes()] {
            assert!(ConnectionOptions::parse(std::iter::once(unreadable)).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_names_make_it_panic_and_an_underscore_never_passes(
            names in proptest::collection::vec("[a-z_-]{0,12}", 0..8)
        ) {
            let refused = refusal(names.iter().map(String::as_str)).is_some();
            prop_assert!(refused || names.iter().all(|name| !name.contains('_')));
        }

        #[test]
        fn no_connection_header_lets_a_forged_one_through(value in ".{0,200}", suffix in "[a-z-]{1,20}") {
            let options = ConnectionOptions::parse(std::iter::once(value.as_bytes())).unwrap_or_default();
            for name in [format!("x-user-{suffix}"), format!("x-forwarded-{suffix}")] {
                prop_assert!(!passes_to_service(&name, &options));
            }
        }
    }
}
