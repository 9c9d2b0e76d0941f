//! Classes of routes that fail apart from each other. What one class of a service's routes does (slow logins, a listing
//! that times out) says little about the others, so each has its own circuit breaker, outlier record, retry budget and
//! places. There are as many as are named here, whatever clients ask for.

/// What a route asks of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteClass {
    /// Whatever is in no other class.
    Standard,
    /// Requests with a password, which the service hashes: they are slow, and refused when there are too many.
    Password,
    /// Event streams, which a service has only so many of.
    Stream,
    /// What operators ask: dead letters, status, audit. Some of it reads much.
    Operations,
}

impl RouteClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Password, Self::Stream, Self::Operations];

    /// How many there are.
    pub const COUNT: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(Self::ALL.len() - 1);

    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Password => "password",
            Self::Stream => "stream",
            Self::Operations => "operations",
        }
    }

    /// The class of a request, by its path as it was sent.
    pub(super) fn of(method: &str, path: &str) -> Self {
        let segments = || path.trim_start_matches('/').split('/');
        let (first, second, third) = (segments().next(), segments().nth(1), segments().nth(2));
        match (method, first, second, third) {
            ("POST", Some("auth"), Some("login" | "register"), None)
            | ("PUT", Some("auth"), Some("password"), None) => Self::Password,
            (_, _, Some("dead-letters" | "events"), _) => Self::Operations,
            ("GET", Some("orders"), Some(_), Some("events"))
            | ("GET", Some("notifications"), Some("stream"), None) => Self::Stream,
            _ => Self::Standard,
        }
    }
}

/// One value for each class.
#[derive(Debug)]
pub(crate) struct PerClass<T> {
    standard: T,
    password: T,
    stream: T,
    operations: T,
}

impl<T> PerClass<T> {
    /// One for each, made by `make`.
    pub(crate) fn new(mut make: impl FnMut() -> T) -> Self {
        Self {
            standard: make(),
            password: make(),
            stream: make(),
            operations: make(),
        }
    }

    /// That of one class.
    pub(crate) const fn of(&self, class: RouteClass) -> &T {
        match class {
            RouteClass::Standard => &self.standard,
            RouteClass::Password => &self.password,
            RouteClass::Stream => &self.stream,
            RouteClass::Operations => &self.operations,
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        RouteClass::ALL.iter().map(|class| self.of(*class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_class() {
        for (method, path, class) in [
            ("POST", "/auth/login", RouteClass::Password),
            ("POST", "/auth/register", RouteClass::Password),
            ("PUT", "/auth/password", RouteClass::Password),
            ("GET", "/auth/login", RouteClass::Standard),
            ("POST", "/auth/login/", RouteClass::Standard),
            ("POST", "/auth/refresh", RouteClass::Standard),
            ("GET", "/.well-known/jwks.json", RouteClass::Standard),
            ("GET", "/orders/1/events", RouteClass::Stream),
            ("GET", "/notifications/stream", RouteClass::Stream),
            ("GET", "/orders/1", RouteClass::Standard),
            ("POST", "/orders", RouteClass::Standard),
            ("GET", "/orders/events/status", RouteClass::Operations),
            ("POST", "/auth/dead-letters/1/replay", RouteClass::Operations),
            ("GET", "/payments/dead-letters", RouteClass::Operations),
            ("GET", "/orders", RouteClass::Standard),
            ("GET", "/", RouteClass::Standard),
        ] {
            assert_eq!(RouteClass::of(method, path), class, "{method} {path}");
        }
    }

    #[test]
    fn each_class_has_a_value_of_its_own() {
        let mut number = 0;
        let values = PerClass::new(|| {
            number += 1;
            number
        });
        let all: Vec<_> = RouteClass::ALL.iter().map(|class| *values.of(*class)).collect();
        assert_eq!(all, [1, 2, 3, 4]);
        assert_eq!(values.iter().copied().collect::<Vec<_>>(), all);
    }
}
