//! The one table of what the services behind the gateway answer: which resources there are, which methods each has, who may
//! call, what may be sent twice, and by which template requests are counted and logged. A test holds it equal to the services'
//! own documents.
//!
//! A request that the table does not know is passed on all the same when it shows a token: the service knows better.

use std::sync::LazyLock;

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

/// What there is at a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The path as its service publishes it, for example `/orders/{id}/cancel`; a segment in braces is any one segment.
    pub template: String,
    /// What it can be asked.
    pub operations: &'static [Operation],
}

/// A template, and what can be asked there.
type Entry = (&'static str, &'static [Operation]);

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
const RESOURCES: &[Entry] = &[
    ("/.well-known/jwks.json", &[public("GET")]),
    ("/auth/register", &[public("POST")]),
    ("/auth/login", &[public("POST")]),
    ("/auth/refresh", &[public("POST")]),
    ("/auth/logout", &[public("POST")]),
    ("/auth/logout-all", &[token("POST")]),
    ("/auth/me", &[token("GET")]),
    ("/auth/password", &[token("PUT")]),
    ("/auth/sessions", &[token("GET")]),
    ("/auth/sessions/{id}", &[token("DELETE")]),
    ("/auth/users", &[token("GET")]),
    ("/auth/users/{id}", &[token("PATCH")]),
    ("/products", &[public("GET")]),
    ("/products/{sku}", &[token("PUT")]),
    ("/orders", &[token("GET"), keyed("POST")]),
    ("/orders/{id}", &[token("GET")]),
    ("/orders/{id}/cancel", &[keyed("POST")]),
    ("/orders/{id}/events", &[token("GET")]),
    ("/orders/{id}/history", &[token("GET")]),
    ("/payments", &[token("GET")]),
    ("/payments/disputes", &[token("GET")]),
    (
        "/payments/simulator",
        &[token("GET"), token("PUT"), token("DELETE")],
    ),
    // a payment provider's signature is its proof, which the service checks
    ("/payments/webhooks/stripe", &[public("POST")]),
    ("/payments/{id}", &[token("GET")]),
    ("/notifications", &[token("GET")]),
    ("/notifications/preferences", &[token("GET"), token("PUT")]),
    ("/notifications/stream", &[token("GET")]),
    ("/notifications/webhooks", &[token("GET"), keyed("POST")]),
    (
        "/notifications/webhooks/{id}",
        &[token("GET"), token("PATCH"), token("DELETE")],
    ),
    ("/notifications/webhooks/{id}/deliveries", &[token("GET")]),
    (
        "/notifications/webhooks/{id}/deliveries/{delivery}",
        &[token("GET")],
    ),
    (
        "/notifications/webhooks/{id}/deliveries/{delivery}/resend",
        &[keyed("POST")],
    ),
    ("/notifications/webhooks/{id}/rotate-secret", &[token("POST")]),
    ("/notifications/webhooks/{id}/test", &[keyed("POST")]),
    ("/notifications/{id}/read", &[token("POST")]),
];

/// What operators find under each of [`OPERATED`].
const OPERATIONS: &[Entry] = &[
    ("/events/status", &[token("GET")]),
    ("/events/stats", &[token("GET")]),
    ("/dead-letters", &[token("GET")]),
    ("/dead-letters/groups", &[token("GET")]),
    ("/dead-letters/audit", &[token("GET")]),
    ("/dead-letters/replay", &[keyed("POST")]),
    ("/dead-letters/jobs", &[token("GET")]),
    ("/dead-letters/jobs/{id}", &[token("GET")]),
    ("/dead-letters/jobs/{id}/stop", &[keyed("POST")]),
    ("/dead-letters/{id}", &[token("GET")]),
    ("/dead-letters/{id}/replay", &[keyed("POST")]),
    ("/dead-letters/{id}/edit-and-replay", &[keyed("POST")]),
    ("/dead-letters/{id}/discard", &[keyed("POST")]),
    ("/dead-letters/{id}/restore", &[keyed("POST")]),
];

/// The services' prefixes.
const OPERATED: [&str; 4] = ["/auth", "/orders", "/payments", "/notifications"];

static TABLE: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    let under = |prefix: &'static str| OPERATIONS.iter().map(move |entry| (prefix, entry));
    let operated = OPERATED.into_iter().flat_map(under);
    let all = operated.chain(RESOURCES.iter().map(|entry| ("", entry)));
    all.map(|(prefix, (template, operations))| Resource {
        template: format!("{prefix}{template}"),
        operations,
    })
    .collect()
});

/// The resource at `path`; nothing when the table knows none there.
#[must_use]
pub fn resource(path: &str) -> Option<&'static Resource> {
    TABLE.iter().find(|resource| fits(&resource.template, path))
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut there) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) if wanted.starts_with('{') && !segment.is_empty() => {}
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
        .operations
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

    /// Method and path of each operation of the services' documents.
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
                for method in item.as_object().unwrap().keys() {
                    operations.insert((method.to_ascii_uppercase(), path.clone()));
                }
            }
        }
        operations
    }

    fn table() -> BTreeSet<(String, String)> {
        let operations = |resource: &'static Resource| {
            let methods = resource.operations.iter().map(|operation| operation.method);
            methods.map(|method| (method.to_owned(), resource.template.clone()))
        };
        TABLE.iter().flat_map(operations).collect()
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
        let allowed = |path| {
            resource(path)
                .map(|found| allow(found.operations))
                .unwrap_or_default()
        };
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

    #[test]
    fn a_path_has_the_template_that_its_service_publishes() {
        for (path, template) in [
            ("/orders", Some("/orders")),
            (
                "/orders/01990000-0000-7000-8000-000000000001",
                Some("/orders/{id}"),
            ),
            ("/orders/7/cancel", Some("/orders/{id}/cancel")),
            ("/payments/simulator", Some("/payments/simulator")),
            ("/payments/7", Some("/payments/{id}")),
            (
                "/payments/dead-letters/groups",
                Some("/payments/dead-letters/groups"),
            ),
            ("/payments/dead-letters/7", Some("/payments/dead-letters/{id}")),
            ("/auth/login", Some("/auth/login")),
            ("/.well-known/jwks.json", Some("/.well-known/jwks.json")),
            ("/orders/", None),
            ("/orders//cancel", None),
            ("/orders/7/cancel/now", None),
            ("/made/up", None),
        ] {
            assert_eq!(resource(path).map(|found| &*found.template), template, "{path}");
        }
    }
}
