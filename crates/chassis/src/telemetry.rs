//! Logs and traces.
//!
//! Every request has a trace id, whether spans are exported or not: it is on each log line, in each problem,
//! and travels on in `traceparent`. Spans are exported over OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

use std::time::Duration;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Span, field};
use tracing_actix_web::RootSpanBuilder;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::log_format::JsonLines;
use crate::settings::{LogFormat, LogSettings};

/// Set by the operator to have spans exported (OpenTelemetry's own name).
const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Overridden by the operator's filter. The request middleware logs each error response with its innards
/// ([`crate::problem`] logs what matters, once), the HTTP server each of its threads, and as an error whatever a client
/// sends that is no HTTP: it is answered with 400, has no trace, and nobody has to be woken by it.
const QUIETED: &str = "tracing_actix_web=off,actix_server=warn,actix_http=off";
/// How long a stop waits for the last spans to be exported.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The process's telemetry; [`Telemetry::shutdown`] flushes it.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTarget {
    /// Of a service that runs: its lines are its output.
    Stdout,
    /// Of a command, whose output is something else.
    Stderr,
}

/// Sets up logs, traces, the W3C propagator and the panic hook of this process. Call it on the main runtime,
/// once; a second call (tests of several services in one process) leaves the first in place.
///
/// # Errors
/// When the filter does not parse or the exporter cannot be built.
pub fn init(service: &'static str, settings: &LogSettings, target: LogTarget) -> anyhow::Result<Telemetry> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = provider(service)?;
    let filter = EnvFilter::try_new(format!("{QUIETED},{}", settings.filter))?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_filter(LevelFilter::INFO);
    let writer = match target {
        LogTarget::Stdout => BoxMakeWriter::new(std::io::stdout),
        LogTarget::Stderr => BoxMakeWriter::new(std::io::stderr),
    };
    let lines = match settings.format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines::new(service))
            .with_writer(writer)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer().with_writer(writer).boxed(),
    };
    // The filter is the lines' alone: whatever is logged, every request has its trace.
    let subscriber = tracing_subscriber::registry()
        .with(spans)
        .with(lines.with_filter(filter));
    if subscriber.try_init().is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string);
            tracing::error!(
                error.message = panic.payload_as_str().unwrap_or_default(),
                code.location = location.as_deref().unwrap_or_default(),
                "panic"
            );
        }));
    }
    Ok(Telemetry { provider })
}

#[expect(
    clippy::disallowed_methods,
    reason = "OpenTelemetry's variables are read where they are defined"
)]
fn provider(service: &'static str) -> anyhow::Result<SdkTracerProvider> {
    let builder =
        SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name(service).build());
    if std::env::var_os(OTLP_VARIABLE).is_none_or(|endpoint| endpoint.is_empty()) {
        // Nobody reads the spans: make ids only.
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build()?;
    Ok(builder
        .with_span_processor(BatchSpanProcessor::builder(exporter, Tokio).build())
        .build())
}

impl Telemetry {
    /// Exports what is left.
    pub async fn shutdown(self) {
        let flushed =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the last spans could not be exported");
        }
    }
}

/// The trace id of what is going on right now, 32 hex digits.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let id = span.span_context();
    id.is_valid().then(|| id.trace_id().to_string())
}

/// The root span of a request. Names of OpenTelemetry's semantic conventions; no address, no user agent, no
/// query string: they can be personal data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let route = request.match_pattern().unwrap_or_else(|| "(none)".to_owned());
        let method = request.method().as_str();
        let span = tracing::info_span!(
            "http request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = field::Empty,
            request.id = field::Empty,
        );
        let headers = RequestHeaders(request.headers());
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
        if parent.span().span_context().is_valid() {
            // Fails only without an OpenTelemetry layer: then there is no trace to continue.
            let _no_layer = span.set_parent(parent);
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

struct RequestHeaders<'a>(&'a HeaderMap);

/// Longest `tracestate` that is continued: what everybody must at least pass on (W3C Trace Context, section 3.3.1.5).
const TRACE_STATE_MAX: usize = 512;

/// Length of a `traceparent` of version 00.
const TRACE_PARENT_LENGTH: usize = 55;

impl Extractor for RequestHeaders<'_> {
    /// A header that came twice, or is longer than it can honestly be, begins a trace of its own.
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key);
        let value = values.next()?.to_str().ok()?;
        let well_formed = match key {
            "traceparent" => is_trace_parent(value),
            _ => value.len() <= TRACE_STATE_MAX,
        };
        (well_formed && values.next().is_none()).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, lower case, neither id all zeros.
fn is_trace_parent(value: &str) -> bool {
    let hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let id = |text: &str, length: usize| hex(text, length) && text.bytes().any(|byte| byte != b'0');
    let mut parts = value.split('-');
    value.len() == TRACE_PARENT_LENGTH
        && parts.next() == Some("00")
        && parts.next().is_some_and(|trace| id(trace, 32))
        && parts.next().is_some_and(|span| id(span, 16))
        && parts.next().is_some_and(|flags| hex(flags, 2))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use opentelemetry::propagation::TextMapPropagator;
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn continues(parents: &[&[u8]], states: &[&[u8]]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, values) in [("traceparent", parents), ("tracestate", states)] {
            for value in values {
                let Ok(value) = HeaderValue::from_bytes(value) else {
                    continue;
                };
                headers.append(HeaderName::from_static(name), value);
            }
        }
        let context = TraceContextPropagator::new().extract(&RequestHeaders(&headers));
        context.span().span_context().is_valid()
    }

    #[test]
    fn a_trace_is_continued_only_by_one_well_formed_parent() {
        assert!(continues(&[PARENT.as_bytes()], &[b"a=1"]));
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert!(!continues(&[bad.as_bytes()], &[]), "{bad}");
        }
        assert!(!continues(&[PARENT.as_bytes(), PARENT.as_bytes()], &[]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            parent in proptest::collection::vec(any::<u8>(), 0..80),
            state in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            continues(&[&parent], &[&state]);
            continues(&[PARENT.as_bytes()], &[&state]);
        }

        #[test]
        fn what_is_nearly_a_parent_is_judged_alike_by_both(parent in "0[0-1]-[0-9a-fA-F]{31,33}-[0-9a-f]{15,17}-[0-9a-g]{1,3}") {
            prop_assert_eq!(continues(&[parent.as_bytes()], &[]), is_trace_parent(&parent));
        }
    }
}
