//! The one table of what the services behind the gateway answer: which resources there are, which methods each has, who may
//! call, and what may be sent twice. A test holds it equal to the services' own documents.
//!
//! A request that the table does not know is passed on all the same when it shows a token: the service knows better.

use super::routing::Access;

/// One method of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The method. Whatever can be read with `GET` can be asked for with `HEAD`.
    pub method: &'static str,
    /// Who may call.
    pub access: Access,
    /// Whether the service recognises a request that comes again by its `Idempotency-Key`.
    pub honours_key: bool,
}

/// A path, `{}` for any one segment, and what it can be asked.
type Resource = (&'static str, &'static [Operation]);

const fn token(method: &'static str) -> Operation {
    Operation {
        method,
        access: Access::Token,
        honours_key: false,
    }
}

const fn public(method: &'static str) -> Operation {
    Operation {
        access: Access::Public,
        ..token(method)
    }
}

/// With a token, and with a key once.
const fn keyed(method: &'static str) -> Operation {
    Operation {
        honours_key: true,
        ..token(method)
    }
}

/// Resources of the services. The first that fits counts.
const RESOURCES: &[Resource] = &[
    ("/.well-known/jwks.json", &[public("GET")]),
    ("/auth/register", &[public("POST")]),
    ("/auth/login", &[public("POST")]),
    ("/auth/refresh", &[public("POST")]),
    ("/auth/logout", &[public("POST")]),
    ("/auth/logout-all", &[token("POST")]),
    ("/auth/me", &[token("GET")]),
    ("/auth/password", &[token("PUT")]),
    ("/auth/sessions", &[token("GET")]),
    ("/auth/sessions/{}", &[token("DELETE")]),
    ("/auth/users", &[token("GET")]),
    ("/auth/users/{}", &[token("PATCH")]),
    ("/products", &[public("GET")]),
    ("/products/{}", &[token("PUT")]),
    ("/orders", &[token("GET"), keyed("POST")]),
    ("/orders/{}", &[token("GET")]),
    ("/orders/{}/cancel", &[keyed("POST")]),
    ("/orders/{}/events", &[token("GET")]),
    ("/orders/{}/history", &[token("GET")]),
    ("/payments", &[token("GET")]),
    (
        "/payments/simulator",
        &[token("GET"), token("PUT"), token("DELETE")],
    ),
    // a payment provider's signature is its proof, which the service checks
    ("/payments/webhooks/stripe", &[public("POST")]),
    ("/payments/{}", &[token("GET")]),
    ("/notifications", &[token("GET")]),
    ("/notifications/preferences", &[token("GET"), token("PUT")]),
    ("/notifications/stream", &[token("GET")]),
    ("/notifications/webhooks", &[token("GET"), keyed("POST")]),
    (
        "/notifications/webhooks/{}",
        &[token("GET"), token("PATCH"), token("DELETE")],
    ),
    ("/notifications/webhooks/{}/deliveries", &[token("GET")]),
    ("/notifications/webhooks/{}/deliveries/{}", &[token("GET")]),
    (
        "/notifications/webhooks/{}/deliveries/{}/resend",
        &[token("POST")],
    ),
    ("/notifications/webhooks/{}/rotate-secret", &[token("POST")]),
    ("/notifications/webhooks/{}/test", &[token("POST")]),
    ("/notifications/{}/read", &[token("POST")]),
];

/// What operators find under each of [`OPERATED`].
const OPERATIONS: &[Resource] = &[
    ("/events/status", &[token("GET")]),
    ("/events/stats", &[token("GET")]),
    ("/dead-letters", &[token("GET")]),
    ("/dead-letters/groups", &[token("GET")]),
    ("/dead-letters/audit", &[token("GET")]),
    ("/dead-letters/replay", &[token("POST")]),
    ("/dead-letters/jobs/{}", &[token("GET")]),
    ("/dead-letters/jobs/{}/stop", &[token("POST")]),
    ("/dead-letters/{}", &[token("GET")]),
    ("/dead-letters/{}/replay", &[token("POST")]),
    ("/dead-letters/{}/edit-and-replay", &[token("POST")]),
    ("/dead-letters/{}/discard", &[token("POST")]),
    ("/dead-letters/{}/restore", &[token("POST")]),
];

/// The services' prefixes.
const OPERATED: [&str; 4] = ["/auth", "/orders", "/payments", "/notifications"];

/// What the resource at `path` can be asked; nothing when the table knows none there.
#[must_use]
pub fn resource(path: &str) -> Option<&'static [Operation]> {
    let operated = OPERATED
        .iter()
        .find_map(|prefix| find(OPERATIONS, path.strip_prefix(prefix)?));
    operated.or_else(|| find(RESOURCES, path))
}

fn find(resources: &'static [Resource], path: &str) -> Option<&'static [Operation]> {
    let found = resources.iter().find(|(pattern, _)| fits(pattern, path));
    found.map(|(_, operations)| *operations)
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut there) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return true,
            (Some("{}"), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

/// The operation that a request asks for; nothing when the table knows none.
#[must_use]
pub fn operation(method: &str, path: &str) -> Option<Operation> {
    let read_as = if method == "HEAD" { "GET" } else { method };
    resource(path)?
        .iter()
        .find(|operation| operation.method == read_as)
        .copied()
}

/// The value of `Allow` for a resource.
#[must_use]
pub fn allow(operations: &[Operation]) -> String {
    let mut methods: Vec<&str> = operations.iter().map(|operation| operation.method).collect();
    if let Some(get) = methods.iter().position(|method| *method == "GET") {
        methods.insert(get.saturating_add(1), "HEAD");
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Method and path of each operation of the services' documents, path parameters as `{}`.
    fn documented() -> BTreeSet<(String, String)> {
        let documents = [
            include_str!("../../../docs/contracts/openapi/auth.json"),
            include_str!("../../../docs/contracts/openapi/order.json"),
            include_str!("../../../docs/contracts/openapi/payment.json"),
            include_str!("../../../docs/contracts/openapi/notification.json"),
        ];
        let mut operations = BTreeSet::new();
        for document in documents {
            let document: Value = serde_json::from_str(document).unwrap();
            for (path, item) in document["paths"].as_object().unwrap() {
                let segments = path.split('/').map(|segment| match segment.starts_with('{') {
                    true => "{}",
                    false => segment,
                });
                let path = segments.collect::<Vec<_>>().join("/");
                for method in item.as_object().unwrap().keys() {
                    operations.insert((method.to_ascii_uppercase(), path.clone()));
                }
            }
        }
        operations
    }

    fn table() -> BTreeSet<(String, String)> {
        let operated = OPERATED.iter().flat_map(|prefix| {
            OPERATIONS
                .iter()
                .map(move |(path, operations)| (format!("{prefix}{path}"), *operations))
        });
        let others = RESOURCES
            .iter()
            .map(|(path, operations)| ((*path).to_owned(), *operations));
        others
            .chain(operated)
            .flat_map(|(path, operations)| {
                operations
                    .iter()
                    .map(move |operation| (operation.method.to_owned(), path.clone()))
            })
            .collect()
    }

    #[test]
    fn the_table_says_what_the_services_documents_say() {
        let (table, documented) = (table(), documented());
        let missing: Vec<_> = documented.difference(&table).collect();
        let surplus: Vec<_> = table.difference(&documented).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "missing {missing:?}, surplus {surplus:?}"
        );
    }

    /// What is documented with the header is sent again, and nothing else.
    #[test]
    fn whatever_honours_a_key_documents_it() {
        for document in [
            include_str!("../../../docs/contracts/openapi/auth.json"),
            include_str!("../../../docs/contracts/openapi/order.json"),
            include_str!("../../../docs/contracts/openapi/payment.json"),
            include_str!("../../../docs/contracts/openapi/notification.json"),
        ] {
            let document: Value = serde_json::from_str(document).unwrap();
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    let parameters = operation["parameters"].as_array();
                    let documented =
                        parameters.is_some_and(|all| all.iter().any(|one| one["name"] == "Idempotency-Key"));
                    let known = super::operation(&method.to_ascii_uppercase(), path).unwrap();
                    assert_eq!(known.honours_key, documented, "{method} {path}");
                }
            }
        }
    }

    #[test]
    fn a_named_resource_comes_before_one_with_any_name() {
        let allowed = |path| resource(path).map(allow).unwrap_or_default();
        assert_eq!(allowed("/payments/simulator"), "GET, HEAD, PUT, DELETE, OPTIONS");
        assert_eq!(allowed("/payments/1"), "GET, HEAD, OPTIONS");
        assert_eq!(allowed("/orders/dead-letters/replay"), "POST, OPTIONS");
        assert_eq!(allowed("/orders/dead-letters/1"), "GET, HEAD, OPTIONS");
        assert_eq!(allowed("/auth/login"), "POST, OPTIONS");
        for path in [
            "/auth/login/",
            "/auth/login/x",
            "/orders/",
            "/orders/1/x",
            "/auth",
            "",
        ] {
            assert_eq!(resource(path), None, "{path}");
        }
    }
}
