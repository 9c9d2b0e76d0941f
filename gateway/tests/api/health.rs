//! `GET /health`: the platform in one answer.

use serde_json::json;

use crate::harness::Gateway;
use crate::harness::upstream::{Upstream, documents};

const OK: &str = r#"{"status":"ok","database":"ok","broker":"ok"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_of_every_service_and_of_itself() {
    let no_broker = Upstream::start(documents(&[(
        "/health",
        503,
        r#"{"status":"degraded","database":"ok","broker":"down"}"#,
    )]));
    let nonsense = Upstream::start(documents(&[("/health", 200, "<html>")]));
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gateway = Gateway::configured(
        documents(&[("/health", 200, OK)]),
        &[
            ("upstreams.order", &no_broker.url("")),
            ("upstreams.payment", &nonsense.url("")),
            ("upstreams.notification", &format!("http://{gone}")),
        ],
    )
    .await;
    let answer = gateway.anonymous().get("/health").await;

    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("x-request-id").is_empty());
    let silent = json!({"status": "down", "database": "down", "broker": "down"});
    assert_eq!(
        answer.json(),
        json!({"status": "degraded", "services": {
            "auth": {"status": "ok", "database": "ok", "broker": "ok"},
            "order": {"status": "degraded", "database": "ok", "broker": "down"},
            "payment": silent,
            "notification": silent,
            // no broker runs in this test
            "gateway": {"status": "degraded", "database": "ok", "broker": "down"},
        }})
    );
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
