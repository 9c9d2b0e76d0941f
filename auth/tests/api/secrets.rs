//! What is secret stays out of every line the process writes, at the most talkative filter of our own code.

use std::fs::OpenOptions;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Auth, KEY_ENCRYPTION_KEY, PASSWORD};
use crate::process::{PATIENCE, free_port};

const NEW: &str = "a yew, an alder, a larch";
const WRONG: &str = "wrong horse battery";

#[tokio::test]
async fn no_password_and_no_token_is_written_anywhere() {
    let auth = Auth::start().await;
    // A file: what is written is more than a pipe holds.
    let written = tempfile::NamedTempFile::new().unwrap();
    let log = OpenOptions::new().append(true).open(written.path()).unwrap();
    let [http, management] = [free_port(), free_port()];
    let mut child = Command::new(env!("CARGO_BIN_EXE_auth"))
        .arg("serve")
        .env("QUADRILLE__DATABASE__URL", auth.database_url())
        .env("QUADRILLE__KAFKA__BROKERS", "127.0.0.1:1")
        .env("QUADRILLE__KEYS__ENCRYPTION_SECRET", KEY_ENCRYPTION_KEY)
        .env("QUADRILLE__LOG__FILTER", "trace,librdkafka=off")
        .env("QUADRILLE__HTTP__PORT", http.to_string())
        .env("QUADRILLE__MANAGEMENT__PORT", management.to_string())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{http}{path}");
    let deadline = std::time::Instant::now() + PATIENCE;
    while client.get(url("/auth/me")).send().await.is_err() {
        assert!(std::time::Instant::now() < deadline, "not up in time");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let post = async |path: &str, body: Value| -> Value {
        let answer = client.post(url(path)).json(&body).send().await.unwrap();
        answer.json().await.unwrap_or(Value::Null)
    };
    let account = |password: &str| json!({"email": "ada@example.org", "password": password});
    post("/auth/register", account(PASSWORD)).await;
    post("/auth/login", account(WRONG)).await;
    post(
        "/auth/login",
        json!({"email": "ada@example.org", "password": [PASSWORD]}),
    )
    .await;
    let login = post("/auth/login", account(PASSWORD)).await;
    let text = |answer: &Value, member: &str| answer[member].as_str().unwrap().to_owned();
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    let put = client
        .put(url("/auth/password"))
        .bearer_auth(text(&login, "access_token"))
        .json(&change);
    assert_eq!(put.send().await.unwrap().status(), 204);
    let refreshed = post(
        "/auth/refresh",
        json!({"refresh_token": text(&login, "refresh_token")}),
    )
    .await;
    post(
        "/auth/logout",
        json!({"refresh_token": text(&refreshed, "refresh_token")}),
    )
    .await;
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    let written = std::fs::read_to_string(written.path()).unwrap();
    assert!(written.contains(r#""message":"logout""#), "it did what was asked");
    for secret in [
        PASSWORD,
        WRONG,
        NEW,
        &text(&login, "access_token"),
        &text(&login, "refresh_token"),
        &text(&refreshed, "access_token"),
        &text(&refreshed, "refresh_token"),
        KEY_ENCRYPTION_KEY,
    ] {
        let line = written.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}
