//! Trace context across the outbox and Kafka: a saga is one trace from the request to its last event.

use std::collections::HashMap;

use contracts::Envelope;
use opentelemetry::global;
use opentelemetry::propagation::{Extractor, Injector};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::headers::Headers;

/// W3C trace context as headers carry it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// The `traceparent` header.
    pub traceparent: Option<String>,
    /// The `tracestate` header.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// The context of `span`; empty when nothing traces.
    #[must_use]
    pub fn of(span: &Span) -> Self {
        let mut headers = HashMap::new();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&span.context(), &mut Carrier(&mut headers));
        });
        let mut take = |name: &str| headers.remove(name).filter(|value: &String| !value.is_empty());
        Self {
            traceparent: take("traceparent"),
            tracestate: take("tracestate"),
        }
    }

    /// This context, or `other` where there is none: a saga's trace goes on through a service that records
    /// nothing.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        if self.traceparent.is_some() {
            self
        } else {
            other.clone()
        }
    }

    /// The context that an event brought along.
    #[must_use]
    pub fn of_event(envelope: &Envelope) -> Self {
        Self {
            traceparent: envelope.traceparent.clone(),
            tracestate: envelope.tracestate.clone(),
        }
    }

    /// The context that a record's headers carry.
    #[must_use]
    pub(crate) fn of_headers(headers: &Headers) -> Self {
        let text = |name| headers.text(name).map(str::to_owned);
        Self {
            traceparent: text("traceparent"),
            tracestate: text("tracestate"),
        }
    }

    /// Makes `span` a child of this context.
    pub fn adopt(&self, span: &Span) {
        if self.traceparent.is_some() {
            // a span that nobody records cannot be linked, and need not be
            let _ = span.set_parent(self.remote());
        }
    }

    fn remote(&self) -> opentelemetry::Context {
        global::get_text_map_propagator(|propagator| propagator.extract(self))
    }
}

impl Extractor for TraceContext {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent.as_deref(),
            "tracestate" => self.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

struct Carrier<'a>(&'a mut HashMap<String, String>);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}
