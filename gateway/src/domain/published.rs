//! The services' routes as they publish them: by which template a request is counted and logged.

use std::sync::LazyLock;

use serde_json::Value;

const DOCUMENTS: [&str; 4] = [
    include_str!("../../../docs/contracts/openapi/auth.json"),
    include_str!("../../../docs/contracts/openapi/order.json"),
    include_str!("../../../docs/contracts/openapi/payment.json"),
    include_str!("../../../docs/contracts/openapi/notification.json"),
];

static TEMPLATES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut templates: Vec<String> = DOCUMENTS.iter().flat_map(|document| paths(document)).collect();
    // what a segment is called goes before what it may be: `/payments/simulator` before `/payments/{id}`
    templates.sort_by_key(|template| (template.matches('{').count(), template.clone()));
    templates.dedup();
    templates
});

fn paths(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let paths = document.get("paths").and_then(Value::as_object);
    paths
        .into_iter()
        .flatten()
        .map(|(path, _)| path.clone())
        .collect()
}

/// The published template that a path fits, for example `/orders/{id}/cancel`; none of a path that no service publishes.
#[must_use]
pub fn template_of(path: &str) -> Option<&'static str> {
    let fits = |template: &&String| {
        let mut segments = path.split('/');
        let all = template.split('/').all(|expected| {
            let segment = segments.next();
            segment.is_some_and(|segment| {
                expected == segment || (expected.starts_with('{') && !segment.is_empty())
            })
        });
        all && segments.next().is_none()
    };
    TEMPLATES.iter().find(fits).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(template_of(path), template, "{path}");
        }
    }
}
