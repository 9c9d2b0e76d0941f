//! The route table: which service answers a path, and on which terms a request gets there.

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
}

impl Upstream {
    /// Every service, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Order, Self::Payment, Self::Notification];

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

/// The route of a request, by its path as it was sent: never decoded or normalised, so that the gateway and
/// the service cannot read the same path differently. `None` when no service answers there.
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
    if has_dot_segment(rest) {
        return None;
    }
    let rate = match (method, path) {
        ("POST", "/auth/login" | "/auth/register") => RateClass::Login,
        _ => RateClass::Standard,
    };
    Some(Route {
        upstream,
        access: access(method, path),
        rate,
        body: body(first, rest),
    })
}

fn access(method: &str, path: &str) -> Access {
    match (method, path) {
        ("POST", "/auth/register" | "/auth/login" | "/auth/refresh" | "/auth/logout")
        // a payment provider's signature is its proof, which the service checks
        | ("POST", "/payments/webhooks/stripe")
        | ("GET" | "HEAD", "/.well-known/jwks.json" | "/products") => Access::Public,
        _ => Access::Token,
    }
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

/// No honest path contains `.` or `..` as a segment, plain or encoded; what resolves them would leave the route.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let mut rest = segment;
        let mut dots = 0_usize;
        while let Some(next) = strip_dot(rest) {
            rest = next;
            dots += 1;
        }
        rest.is_empty() && (1..=2).contains(&dots)
    })
}

fn strip_dot(text: &str) -> Option<&str> {
    [".", "%2e", "%2E"].iter().find_map(|dot| text.strip_prefix(dot))
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

    proptest! {
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
