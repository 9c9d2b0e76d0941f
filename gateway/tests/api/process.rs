//! The gateway as a process: what it logs, and how it ends.

use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::harness::upstream::echo;
use crate::harness::{Answer, Client, Gateway, token};

const PATIENCE: Duration = Duration::from_secs(60);
const ORDER: &str = "01990000-0000-7000-8000-000000000042";

async fn ready(management: &str, child: &mut Child) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(answer) = reqwest::get(format!("http://{management}/readyz")).await
            && answer.status() == 200
        {
            return;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_one_line_in_the_log_that_names_nobody() {
    let home = Gateway::before(echo()).await;
    let (port, management) = (stack::ports::lease().unwrap(), stack::ports::lease().unwrap());
    let (port, management) = (port.port().to_string(), management.port().to_string());
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let settings = home.settings(&[
        ("http.port", &port),
        ("management.port", &management),
        ("log.filter", "info,librdkafka=off,rdkafka=off"),
        ("log.format", "json"),
    ]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .arg("serve")
        .envs(settings)
        .stdout(Stdio::from(std::fs::File::create(&log).unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    ready(&format!("127.0.0.1:{management}"), &mut child).await;

    let bearer = home.issuer.customer(token::user(token::CUSTOMER)).unwrap();
    let client = Client::new(format!("http://127.0.0.1:{port}"), Some(bearer.clone()));
    let request = client
        .request(Method::GET, &format!("/orders/{ORDER}?email=ada@example.org"))
        .header("x-request-id", "request-1")
        .header("user-agent", "a-telling-agent")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
    assert_eq!(Answer::of(request).await.status, 200);
    assert_eq!(client.get("/nowhere/ada@example.org").await.status, 404);

    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let ended = tokio::time::timeout(PATIENCE, child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(ended.success(), "{ended}");

    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let access: Vec<_> = lines.iter().filter(|line| line["target"] == "access").collect();
    assert_eq!(access.len(), 2, "{log}");
    let line = access[0];
    assert_eq!(line["http.request.method"], "GET");
    assert_eq!(line["url.template"], "/orders/{}");
    assert_eq!(line["http.response.status_code"], 200);
    assert_eq!(
        (&line["upstream"], &line["attempts"]),
        (&"order".into(), &1.into())
    );
    assert_eq!(line["request.id"], "request-1");
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(access[1]["url.template"], "/nowhere/{}");
    assert_eq!(access[1]["upstream"], "gateway");
    for secret in [
        ORDER,
        token::CUSTOMER,
        &bearer,
        "ada@example.org",
        "a-telling-agent",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
