//! `GET /health`: the platform in one answer.

use serde_json::json;

use crate::harness::Gateway;
use crate::harness::upstream::{Upstream, documents};

const OK: &str = r#"{"status":"ok","accepts_requests":true,"database":"ok","broker":"ok","reasons":[],
    "consumer":{"status":"ok","state":"assigned","since":"2026-11-30T12:00:00Z","partitions":6},
    "relay":{"status":"ok","role":"leader","oldest_row_seconds":0}}"#;
/// As a version before this one answers.
const NO_BROKER: &str = r#"{"status":"degraded","database":"ok","broker":"down"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_of_every_service_and_of_itself() {
    let no_broker = Upstream::start(documents(&[("/health", 503, NO_BROKER)]));
    let nonsense = Upstream::start(documents(&[("/health", 200, "<html>")]));
    let gone = stack::ports::lease().unwrap();
    let gateway = Gateway::configured(
        documents(&[("/health", 200, OK)]),
        &[
            ("upstreams.order", &no_broker.url("")),
            ("upstreams.payment", &nonsense.url("")),
            (
                "upstreams.notification",
                &format!("http://127.0.0.1:{}", gone.port()),
            ),
        ],
    )
    .await;
    let answer = gateway.anonymous().get("/health").await;

    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("x-request-id").is_empty());
    let unknown = |status: &str, database: &str, reasons: &[&str]| {
        json!({"status": status, "database": database, "broker": "down", "consumer": null, "relay": null,
               "reasons": reasons})
    };
    let mut told = answer.json();
    let own = told["services"]
        .as_object_mut()
        .unwrap()
        .remove("gateway")
        .unwrap();
    let silent = unknown("down", "down", &["it does not answer"]);
    assert_eq!(
        told,
        json!({"status": "degraded", "services": {
            "auth": {"status": "ok", "database": "ok", "broker": "ok", "reasons": [],
                "consumer": {"status": "ok", "state": "assigned", "since": "2026-11-30T12:00:00Z", "partitions": 6},
                "relay": {"status": "ok", "role": "leader", "oldest_row_seconds": 0}},
            "order": unknown("degraded", "ok", &[]),
            "payment": silent,
            "notification": silent,
        }})
    );
    // no broker runs in this test
    assert_eq!(
        (&own["status"], &own["database"]),
        (&json!("degraded"), &json!("ok"))
    );
    assert_eq!(own["broker"], "down");
    assert_eq!(own["consumer"]["state"], "waiting");
    assert_eq!(own["reasons"][0], "broker: does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_often_asks_the_services_once() {
    let gateway = Gateway::before(documents(&[("/health", 200, OK)])).await;
    let client = gateway.anonymous();
    let answers = futures::future::join_all((0..20).map(|_| client.get("/health"))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.json()["services"]["auth"]["status"] == "ok")
    );
    let asked = gateway
        .upstream
        .seen()
        .iter()
        .filter(|seen| seen.target == "/health")
        .count();
    assert!(asked <= 4 * 3, "{asked}");
}
