//! What the platform says of itself: metrics as the documents list them, and log lines that an order can be found by and that
//! can be alerted on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use acceptance::customer::Customer;
use acceptance::{PATIENCE, until};
use serde_json::Value;
use stack::{Service, Stack};
use uuid::Uuid;

/// The names that a scrape of all services has are those that docs/OPERATIONS.md lists, no more and no less; and whatever is
/// counted by a label is there before it has been counted.
pub(crate) async fn metrics_are_those_of_the_documents(stack: &Stack) {
    let mut exposed = BTreeSet::new();
    let mut all = String::new();
    for service in Service::ALL {
        let url = format!("{}/metrics", stack.management_url(service));
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        exposed.extend(families.map(|family| {
            let (name, kind) = family.split_once(' ').unwrap();
            if kind == "counter" {
                format!("{name}_total")
            } else {
                name.to_owned()
            }
        }));
        all.push_str(&text);
    }
    let operations = std::fs::read_to_string(repository("docs/OPERATIONS.md")).unwrap();
    let section = operations.split("## Metrics, traces, logs").nth(1).unwrap();
    let table = section.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let names = rows.filter_map(|row| row.split('|').nth(1));
    let listed: BTreeSet<String> = names
        .flat_map(|names| names.split('`').skip(1).step_by(2))
        .map(ToOwned::to_owned)
        .collect();
    let only_listed: Vec<_> = listed.difference(&exposed).collect();
    let only_exposed: Vec<_> = exposed.difference(&listed).collect();
    assert!(
        only_listed.is_empty() && only_exposed.is_empty(),
        "listed {only_listed:?}, exposed {only_exposed:?}"
    );
    for sample in [
        "messaging_breaker_open{before=\"actions\"}",
        "messaging_breaker_open{before=\"messages\"}",
        "messaging_duplicates_total{messaging_destination_name=\"payment.completed\"}",
        "messaging_clients_renewed_total{client=\"tail\",reason=\"no_broker\"}",
        "gateway_rate_limited_requests_total{limit=\"login\"}",
        "gateway_upstream_retries_total{upstream=\"payment\"}",
        "gateway_upstream_ejections_total{upstream=\"order\",route_class=\"standard\"}",
        "payment_disputes_total{status=\"needs_response\"}",
        "throttled_logins_total{policy=\"login-account\"}",
    ] {
        assert!(all.contains(sample), "{sample} is not there from the start");
    }
    assert!(
        all.contains("http_route=\"/orders/{id}\""),
        "the gateway's routes are templates"
    );
    assert!(!all.contains("path:.*"), "and not what they are matched by");
}

/// Each service has a line of its own for each step of the saga, found by the order's id, in the trace of its POST.
pub(crate) async fn an_order_is_found_in_every_log(stack: &Stack, order: Uuid, trace: &str) {
    for service in [
        Service::Gateway,
        Service::Order,
        Service::Payment,
        Service::Notification,
    ] {
        until(
            &format!("a line about {order} by {service:?}"),
            PATIENCE,
            async || {
                let mut steps = lines(stack, service)
                    .into_iter()
                    .filter(|line| line["target"] == "saga");
                let step = steps.find(|line| line["saga.id"] == order.to_string())?;
                assert_eq!(
                    (&step["level"], &step["trace_id"]),
                    (&"INFO".into(), &trace.into()),
                    "{step}"
                );
                Some(())
            },
        )
        .await;
    }
}

/// Ten logouts are nobody's error, and neither is what a client sends that is no HTTP.
pub(crate) async fn nothing_is_an_error_that_nobody_has_to_look_at(stack: &Stack) {
    let errors = || -> Vec<Value> {
        Service::ALL
            .into_iter()
            .flat_map(|service| lines(stack, service))
            .filter(|line| line["level"] == "ERROR" && line["message"] != "retries are spent, dead letter")
            .collect()
    };
    for _logout in 0..10 {
        Customer::register(stack).await.log_out().await;
    }
    let address = stack.url().replace("http://", "");
    let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let malformed = b"GET /orders HTTP/1.1\r\nhost: a\r\nbad header\0: 1\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut connection, malformed)
        .await
        .unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut answer)
        .await
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(errors(), Vec::<Value>::new());
}

fn lines(stack: &Stack, service: Service) -> Vec<Value> {
    let text = stack.log_tail(service.name(), 100_000);
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
