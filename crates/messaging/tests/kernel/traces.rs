//! A saga is one trace: from the request through the outbox and Kafka to what listens.

use opentelemetry::trace::TraceContextExt;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::broker::{Broker, Sent};
use crate::outages::place;
use crate::tally::{Script, running_errands};
use crate::topic::read;
use crate::world::{Database, Setup};

const INCOMING: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_request_goes_out_with_its_events() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(running_errands(&Script::new()));
    let request = tracing::info_span!("request");
    let trace = request.context().span().span_context().trace_id().to_string();
    place(&service, chassis::clock::new_id(), "announce")
        .instrument(request)
        .await;
    database.until_zero("select count(*) from outbox").await;
    let announced = read(broker.address(), "order.confirmed").await.remove(0);
    assert_eq!(trace_id(announced.header("traceparent").unwrap()), trace);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_an_event_goes_on_in_what_it_causes() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let order = chassis::clock::new_id();
    let traced = |label| {
        Sent::new(order, label)
            .header("traceparent", Some(INCOMING.as_bytes()))
            .header("tracestate", Some(b"vendor=1"))
    };
    let script = Script::new();
    script.plan("errand", &[crate::tally::Fortune::Fails; 10]);
    broker.produce(&[traced("announce"), traced("errand")]).await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.retry_delays_ms = vec![10])
        .start(running_errands(&script));
    database.until_seen(order, &["announce", "errand"]).await;
    database.until_zero("select count(*) from outbox").await;
    let announced = read(broker.address(), "order.confirmed").await.remove(0);
    let traceparent = announced.header("traceparent").unwrap();
    assert_eq!(trace_id(traceparent), trace_id(INCOMING));
    assert_ne!(traceparent, INCOMING, "a span of its own");
    assert_eq!(announced.header("tracestate"), Some("vendor=1"));
    assert_eq!(
        announced.header("ce_correlationid"),
        Some(order.to_string().as_str())
    );

    database
        .until_zero("select count(*) from work where state = 'pending'")
        .await;
    let stored =
        "select header->>1 from work, jsonb_array_elements(headers) header where header->>0 = 'traceparent'";
    let stored = database.texts(stored).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(trace_id(&stored[0]), trace_id(INCOMING), "the action's row");
    service.stop().await;
}
