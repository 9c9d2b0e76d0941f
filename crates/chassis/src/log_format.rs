//! Log lines as JSON objects, one an event: time, level, message, the event's fields and those of the spans
//! around it, `trace_id` and `span_id`.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The format.
pub(crate) struct JsonLines {
    service: &'static str,
}

impl JsonLines {
    /// Lines of the named service.
    pub(crate) const fn new(service: &'static str) -> Self {
        Self { service }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), now().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("service.name".to_owned(), self.service.into());
        line.insert("target".to_owned(), event.metadata().target().into());
        add_span_fields(context, &mut line);
        add_trace(&mut line);
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a log line is stamped with the time it is written"
)]
fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// Fields of the spans around, inner ones winning. OpenTelemetry's instructions to itself are left out.
fn add_span_fields<S, N>(context: &FmtContext<'_, S, N>, line: &mut Map<String, Value>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let Some(scope) = context.event_scope() else {
        return;
    };
    for span in scope.from_root() {
        let extensions = span.extensions();
        let Some(fields) = extensions.get::<FormattedFields<N>>() else {
            continue;
        };
        if let Ok(fields) = serde_json::from_str::<Map<String, Value>>(&fields.fields) {
            line.extend(fields.into_iter().filter(|(name, _)| !name.starts_with("otel.")));
        }
    }
}

fn add_trace(line: &mut Map<String, Value>) {
    let context = Context::current();
    let span = context.span();
    let id = span.span_context();
    if id.is_valid() {
        line.insert("trace_id".to_owned(), id.trace_id().to_string().into());
        line.insert("span_id".to_owned(), id.span_id().to_string().into());
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let chain = std::iter::successors(Some(value), |error| error.source());
        let text: Vec<_> = chain.map(ToString::to_string).collect();
        self.insert(field, text.join(": "));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests;
