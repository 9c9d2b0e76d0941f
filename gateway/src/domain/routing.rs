//! The route table: which service answers a path, and on which terms a request gets there.

use super::interface;
pub use super::route_class::RouteClass;

/// A service behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// Accounts, logins, keys.
    Auth,
    /// Catalogue and orders.
    Order,
    /// Payments.
    Payment,
    /// Notifications.
    Notification,
}

/// Who may call a route. Roles are the services' business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever shows a valid access token.
    Token,
}

/// Which rate limit a route counts against, besides those of the address and the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateClass {
    /// No further limit.
    Standard,
    /// Attempts on passwords.
    Login,
}

/// How large a request body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyClass {
    /// The platform's limit.
    Standard,
    /// Credentials: a few short fields.
    Credentials,
}

/// The terms on which a request reaches a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The service that answers.
    pub upstream: Upstream,
    /// Who may call.
    pub access: Access,
    /// What it counts against.
    pub rate: RateClass,
    /// How large its body may be.
    pub body: BodyClass,
    /// With which other routes it fails.
    pub class: RouteClass,
    /// Whether the service recognises a request that comes again by its `Idempotency-Key`.
    pub honours_key: bool,
}

impl Upstream {
    /// Every service, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Order, Self::Payment, Self::Notification];

    /// How many there are.
    pub const COUNT: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(Self::ALL.len() - 1);

    /// The service's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Notification => "notification",
        }
    }

    /// The name that stands for the service in public paths: `/docs/orders`.
    #[must_use]
    pub const fn public_name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Order => "orders",
            Self::Payment => "payments",
            Self::Notification => "notifications",
        }
    }
}

/// The route of a request, by its path as it was sent: never decoded or normalised. A path that a service would read
/// differently after decoding it has no route, so that both read the same. `None` when no service answers there.
#[must_use]
pub fn route(method: &str, path: &str) -> Option<Route> {
    let (first, rest) = first_segment(path)?;
    let upstream = match (first, rest) {
        ("auth", _) | (".well-known", "/jwks.json") => Upstream::Auth,
        ("products" | "orders", _) => Upstream::Order,
        ("payments", _) => Upstream::Payment,
        ("notifications", _) => Upstream::Notification,
        _ => return None,
    };
    if has_dot_segment(rest) || hides_a_character(rest) {
        return None;
    }
    let rate = match (method, path) {
        ("POST", "/auth/login" | "/auth/register") => RateClass::Login,
        _ => RateClass::Standard,
    };
    let operation = interface::operation(method, path);
    Some(Route {
        upstream,
        access: operation.map_or(Access::Token, |operation| operation.access),
        rate,
        body: body(first, rest),
        class: RouteClass::of(method, path),
        honours_key: operation.is_some_and(|operation| operation.honours_key),
    })
}

/// Everything under `/auth` is credentials, but for what operators send about dead letters.
fn body(first: &str, rest: &str) -> BodyClass {
    let operations = ["/dead-letters", "/events"]
        .iter()
        .any(|prefix| is_under(rest, prefix));
    if first == "auth" && !operations {
        BodyClass::Credentials
    } else {
        BodyClass::Standard
    }
}

/// Splits `/orders/1/cancel` into `orders` and `/1/cancel`.
fn first_segment(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    Some(path.find('/').map_or((path, ""), |end| path.split_at(end)))
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// No honest path contains `.` or `..` as a segment; what resolves them would leave the route.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether a `%` stands for nothing, or for a letter, a digit, or one of `-._~`, which never need it (RFC 3986,
/// section 2.3). Names of routes are made of these alone: `/auth/%6cogin` is what a service reads as `/auth/login`.
fn hides_a_character(path: &str) -> bool {
    path.split('%').skip(1).any(|encoded| {
        let code = encoded
            .get(..2)
            .filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.map(|code| u8::from_str_radix(code, 16)) {
            Some(Ok(byte)) => byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
            Some(Err(_)) | None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn upstream(path: &str) -> Option<Upstream> {
        route("GET", path).map(|route| route.upstream)
    }

    #[test]
    fn each_prefix_has_its_service() {
        for (path, expected) in [
            ("/auth/login", Upstream::Auth),
            ("/auth", Upstream::Auth),
            ("/.well-known/jwks.json", Upstream::Auth),
            ("/products", Upstream::Order),
            ("/products/ABC-1", Upstream::Order),
            ("/orders", Upstream::Order),
            ("/orders/", Upstream::Order),
            ("/orders/1/events", Upstream::Order),
            ("/orders/dead-letters/groups", Upstream::Order),
            ("/payments/simulator", Upstream::Payment),
            ("/payments/events/status", Upstream::Payment),
            ("/notifications/stream", Upstream::Notification),
        ] {
            assert_eq!(upstream(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn neighbours_of_a_prefix_are_not_routed() {
        for path in [
            "",
            "/",
            "*",
            "orders",
            "/ordersX",
            "//orders",
            "/Orders",
            "/%6frders",
            "/.well-known",
            "/.well-known/other",
            "/metrics",
            "/operations/reconciliation",
        ] {
            assert_eq!(upstream(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_cannot_climb_out_of_its_route() {
        for path in [
            "/products/../orders",
            "/orders/.",
            "/orders/%2e%2E/payments",
            "/auth/.%2e/orders",
            "/orders/%2e",
        ] {
            assert_eq!(upstream(path), None, "{path}");
        }
        for path in [
            "/orders/...",
            "/products/v1.2",
            "/products/.hidden",
            "/products/a..b",
        ] {
            assert!(upstream(path).is_some(), "{path}");
        }
    }

    #[test]
    fn only_these_are_public() {
        let public = [
            ("POST", "/auth/register"),
            ("POST", "/auth/login"),
            ("POST", "/auth/refresh"),
            ("POST", "/auth/logout"),
            ("GET", "/.well-known/jwks.json"),
            ("GET", "/products"),
            ("HEAD", "/products"),
            ("POST", "/payments/webhooks/stripe"),
        ];
        for (method, path) in public {
            assert_eq!(
                route(method, path).unwrap().access,
                Access::Public,
                "{method} {path}"
            );
        }
        for (method, path) in [
            ("GET", "/auth/login"),
            ("POST", "/auth/login/"),
            ("POST", "/auth/logout-all"),
            ("PUT", "/products"),
            ("GET", "/payments/webhooks/stripe"),
            ("POST", "/payments/webhooks/stripe/"),
            ("GET", "/products/ABC-1"),
            ("post", "/auth/login"),
            ("OPTIONS", "/orders"),
        ] {
            assert_eq!(
                route(method, path).unwrap().access,
                Access::Token,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn only_what_its_service_recognises_by_a_key_may_be_sent_twice() {
        for (method, path, honours) in [
            ("POST", "/orders", true),
            ("POST", "/orders/1/cancel", true),
            ("POST", "/notifications/webhooks", true),
            ("POST", "/notifications/webhooks/1/rotate-secret", false),
            ("POST", "/auth/register", false),
            ("POST", "/auth/refresh", false),
            ("POST", "/orders/new-in-the-service", false),
            ("PUT", "/products/A", false),
        ] {
            assert_eq!(
                route(method, path).unwrap().honours_key,
                honours,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn attempts_on_passwords_are_counted_apart() {
        assert_eq!(route("POST", "/auth/login").unwrap().rate, RateClass::Login);
        assert_eq!(route("POST", "/auth/register").unwrap().rate, RateClass::Login);
        assert_eq!(route("POST", "/auth/refresh").unwrap().rate, RateClass::Standard);
    }

    #[test]
    fn credentials_are_small() {
        assert_eq!(route("POST", "/auth/login").unwrap().body, BodyClass::Credentials);
        assert_eq!(
            route("POST", "/auth/dead-letters/1/edit-and-replay")
                .unwrap()
                .body,
            BodyClass::Standard
        );
        assert_eq!(
            route("POST", "/auth/dead-lettersX").unwrap().body,
            BodyClass::Credentials
        );
        assert_eq!(route("POST", "/orders").unwrap().body, BodyClass::Standard);
    }

    #[test]
    fn no_path_hides_what_a_service_would_read_in_it() {
        for path in [
            "/auth/%6cogin",
            "/auth/logi%6E",
            "/auth/%72egister",
            "/payments/webhooks/%73tripe",
            "/orders/%7Euser",
            "/orders/%",
            "/orders/%2",
            "/orders/%zz",
            "/orders/%\u{e9}",
        ] {
            assert_eq!(route("POST", path), None, "{path}");
        }
        for path in [
            "/products/A%20B",
            "/products/%C3%A9",
            "/products/a%2Fb",
            "/products/100%25",
        ] {
            assert!(upstream(path).is_some(), "{path}");
        }
    }

    /// A path as the services' router reads it: decoded, but for what would change its parts.
    fn as_a_service_reads(path: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = path.as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            let code = (*first == b'%')
                .then(|| std::str::from_utf8(behind.get(..2)?).ok())
                .flatten()
                .and_then(|code| u8::from_str_radix(code, 16).ok())
                .filter(|byte| !b"%/+".contains(byte));
            match code {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &behind[2..];
                }
                None => {
                    bytes.push(*first);
                    rest = behind;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A path of ours, with any of its characters encoded.
    fn disguised() -> impl Strategy<Value = String> {
        let paths = prop::sample::select(vec![
            "/auth/login",
            "/auth/register",
            "/auth/dead-letters/1",
            "/orders/1/cancel",
            "/payments/webhooks/stripe",
            "/products",
            "/.well-known/jwks.json",
        ]);
        (paths, prop::collection::vec(0_u8..8, 40)).prop_map(|(path, dice)| {
            let encode = |(character, die): (char, &u8)| match die {
                0 => format!("%{:02x}", u32::from(character)),
                1 => format!("%{:02X}", u32::from(character)),
                _ => character.to_string(),
            };
            path.chars().zip(dice.iter().cycle()).map(encode).collect()
        })
    }

    proptest! {
        #[test]
        fn gateway_and_service_read_the_same_path(
            method in prop::sample::select(vec!["GET", "POST", "PUT"]),
            path in prop_oneof![disguised(), "/(auth|orders|products)(/[a-z%0-9A-F.~+]{0,12}){0,3}"],
        ) {
            if let Some(routed) = route(method, &path) {
                prop_assert_eq!(route(method, &as_a_service_reads(&path)), Some(routed), "{}", path);
            }
        }

        #[test]
        fn a_route_is_decided_by_its_first_segment(tail in "(/[a-z0-9-]{1,8}){0,4}") {
            for (first, expected) in
                [("orders", Upstream::Order), ("payments", Upstream::Payment), ("auth", Upstream::Auth)]
            {
                prop_assert_eq!(upstream(&format!("/{first}{tail}")), Some(expected));
            }
        }

        #[test]
        fn no_path_makes_it_panic(method in ".{0,8}", path in ".{0,64}") {
            let _ = route(&method, &path);
        }
    }
}
