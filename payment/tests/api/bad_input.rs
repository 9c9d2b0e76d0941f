//! What must be refused is refused with the right problem, and nothing of it is stored.

use chassis::test::{Answer, TestClient};
use reqwest::{Body, Method};
use serde_json::{Value, json};

use crate::harness::Payments;

const BODY_LIMIT_BYTES: usize = 262_144;

async fn send(client: &TestClient, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = client
        .request(Method::PUT, "/payments/simulator")
        .header("content-type", content_type)
        .body(body);
    Answer::to(request).await
}

/// Asserts that the simulator is as it was at the beginning.
#[track_caller]
fn untouched(payments: &Payments) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let found = payments.rows("select * from simulator.setting").await;
        let expected = json!({
            "singleton": true, "mode": "approve", "remaining": 0, "latency_ms": 0, "generation": 1,
        });
        assert_eq!(found, [expected], "at {place}");
    }
}

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"mode": "decline", "remaining": 1, "latency_ms": 0});
    body[name] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_makes_no_sense_is_422_at_its_member() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let bodies = [
        (with("mode", json!("explode")), "/mode"),
        (with("mode", json!("DECLINE")), "/mode"),
        (with("remaining", json!(-1)), "/remaining"),
        (with("remaining", json!(1.5)), "/remaining"),
        (with("remaining", json!("1")), "/remaining"),
        (with("remaining", json!(1_000_001)), "/remaining"),
        (with("remaining", json!(u64::MAX)), "/remaining"),
        (with("latency_ms", json!(-1)), "/latency_ms"),
        (with("latency_ms", json!(null)), "/latency_ms"),
        (with("latency_ms", json!(60_001)), "/latency_ms"),
        (with("latency_ms", json!(1e300)), "/latency_ms"),
        (with("generation", json!(7)), "/generation"),
        (with("singleton", json!(false)), "/singleton"),
        (json!({}), "/mode"),
        (json!({"remaining": 1, "latency_ms": 0}), "/mode"),
        (json!(["decline", 1, 0]), ""),
        (json!("decline"), ""),
        (json!(null), ""),
    ];
    for (body, pointer) in bodies {
        let answer = send(&client, "application/json", body.to_string()).await;
        let problem = answer.problem(422, "validation");
        let found: Vec<_> = problem.errors.iter().map(|error| &error.pointer).collect();
        assert_eq!(found, [pointer], "{body}: {:?}", problem.errors);
        assert!(problem.errors.iter().all(|error| !error.detail.is_empty()));
    }
    for mode in [json!(null), json!(1), json!({}), json!([]), json!(true)] {
        let body = with("mode", mode).to_string();
        let problem = send(&client, "application/json", body)
            .await
            .problem(422, "validation");
        assert_eq!(problem.errors.first().unwrap().pointer, "/mode");
    }
    let two = json!({"mode": "decline", "remaining": 1_000_001, "latency_ms": 60_001});
    let problem = client
        .put("/payments/simulator", &two)
        .await
        .problem(422, "validation");
    assert_eq!(problem.errors.len(), 2);
    untouched(&payments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_body_is_refused() {
    let payments = Payments::start().await;
    let client = payments.admin();
    for body in [
        "",
        "{",
        "{]",
        "decline, please",
        "\0",
        "{\"mode\": \"decline\"} }",
    ] {
        let answer = send(&client, "application/json", body).await;
        answer.problem(400, "malformed-json");
    }
    let good = with("remaining", json!(1)).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let answer = send(&client, content_type, good.clone()).await;
        answer.problem(415, "unsupported-media-type");
    }
    let padded = format!("{good}{}", " ".repeat(BODY_LIMIT_BYTES));
    let answer = send(&client, "application/json", padded).await;
    answer.problem(413, "payload-too-large");
    untouched(&payments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_payments_cannot_do_is_405_or_404() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let some = format!("/payments/{}", chassis::clock::new_id());
    for (method, path) in [
        (Method::POST, "/payments"),
        (Method::DELETE, "/payments"),
        (Method::POST, "/payments/simulator"),
        (Method::DELETE, &some),
        (Method::PUT, &some),
    ] {
        let request = client.request(method.clone(), path).json(&json!({}));
        let answer = Answer::to(request).await;
        assert!(
            matches!(answer.status, 404 | 405),
            "{method} {path}: {}",
            answer.status
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    untouched(&payments).await;
}
