use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines(log: impl FnOnce()) -> Vec<Value> {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .build();
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
        .with(
            tracing_subscriber::fmt::layer()
                .fmt_fields(JsonFields::new())
                .event_format(JsonLines::new("order"))
                .with_writer(move || writer.clone()),
        );
    tracing::subscriber::with_default(subscriber, log);
    let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_has_its_fields_those_of_its_spans_and_the_trace() {
    let lines = lines(|| {
        let _span = tracing::info_span!("request", order.id = "o-1", otel.kind = "server").entered();
        let _inner = tracing::info_span!("step", event.id = 7).entered();
        tracing::info!(count = 3, "applied \"it\"\nreally");
    });
    let line = &lines[0];
    assert_eq!(line["message"], "applied \"it\"\nreally");
    assert_eq!(
        (&line["level"], &line["service.name"]),
        (&"INFO".into(), &"order".into())
    );
    assert_eq!(
        (&line["order.id"], &line["event.id"], &line["count"]),
        (&"o-1".into(), &7.into(), &3.into())
    );
    assert_eq!(
        line["trace_id"].as_str().map(str::len),
        Some(32),
        "without an exporter too"
    );
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
    assert!(line.get("otel.kind").is_none());
}

#[test]
fn outside_a_span_there_is_no_trace() {
    let lines = lines(|| tracing::warn!("alone"));
    assert!(lines[0].get("trace_id").is_none());
}
