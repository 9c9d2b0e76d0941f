//! Prometheus metrics of the process.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the request duration's buckets, in seconds.
const DURATION_BUCKETS_S: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The registry behind `/metrics`. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<RwLock<Registry>>,
    http: Family<HttpLabels, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    http_request_method: String,
    http_route: String,
    http_response_status_code: u16,
}

/// The route that a request is counted under, where the framework's pattern is not it: of whoever passes requests on, the
/// route of whoever answers. Put into the request's extensions; one of a bounded number.
#[derive(Debug, Clone)]
pub struct RouteTemplate(pub std::borrow::Cow<'static, str>);

impl Metrics {
    /// A registry with the HTTP server's metrics in it.
    #[must_use]
    pub fn new() -> Self {
        let http =
            Family::<HttpLabels, Histogram>::new_with_constructor(|| Histogram::new(DURATION_BUCKETS_S));
        let mut registry = Registry::default();
        registry.register_with_unit(
            "http_server_request_duration",
            "Time from a request's head to its response's head",
            Unit::Seconds,
            http.clone(),
        );
        Self {
            registry: Arc::new(RwLock::new(registry)),
            http,
        }
    }

    /// Registers more metrics.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The registry in the OpenMetrics text format.
    ///
    /// # Errors
    /// When a metric refuses to be written: a bug in it.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(
            &mut text,
            &self.registry.read().unwrap_or_else(PoisonError::into_inner),
        )?;
        Ok(text)
    }

    /// `route` is the pattern, never the path, and methods that a caller made up are one: the number of label sets
    /// must stay bounded.
    pub(crate) fn observe_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = HttpLabels {
            http_request_method: known_method(method).to_owned(),
            http_route: route.to_owned(),
            http_response_status_code: status,
        };
        self.http.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// The method, or what OpenTelemetry's conventions call every other.
fn known_method(method: &str) -> &str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("_OTHER")
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Metrics;

    #[test]
    fn requests_are_counted_by_route() {
        let metrics = Metrics::new();
        metrics.observe_request("GET", "/orders/{id}", 200, Duration::from_millis(3));
        let text = metrics.encode().unwrap();
        let line = "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
                    http_route=\"/orders/{id}\",http_response_status_code=\"200\"} 1";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn methods_that_a_caller_made_up_are_counted_as_one() {
        let metrics = Metrics::new();
        for method in ["BREW", "WHEN"] {
            metrics.observe_request(method, "(none)", 405, Duration::from_millis(3));
        }
        let text = metrics.encode().unwrap();
        assert!(
            text.contains(
                "http_request_method=\"_OTHER\",http_route=\"(none)\",http_response_status_code=\"405\"} 2"
            ),
            "{text}"
        );
    }
}
