//! What is secret stays out of every line the process writes, at the most talkative filter of our own code.

use std::fs::OpenOptions;

use serde_json::{Value, json};

use crate::harness::{Auth, KEY_ENCRYPTION_KEY, PASSWORD};
use crate::process::Process;

const NEW: &str = "a yew, an alder, a larch";
const WRONG: &str = "wrong horse battery";

#[tokio::test]
async fn no_password_and_no_token_is_written_anywhere() {
    let auth = Auth::start().await;
    // A file: what is written is more than a pipe holds.
    let written = tempfile::NamedTempFile::new().unwrap();
    let log = OpenOptions::new().append(true).open(written.path()).unwrap();
    let filter = [("QUADRILLE__LOG__FILTER", "trace,librdkafka=off")];
    let process = Process::spawn(auth.database_url(), &filter, |serve| {
        serve.stdout(log.try_clone().unwrap()).stderr(log)
    });
    process.until_ready().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, body: Value| -> Value {
        let answer = client.post(process.url(path)).json(&body).send().await.unwrap();
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
        .put(process.url("/auth/password"))
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
    process.terminate();
    let (code, _lines) = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    assert_eq!(code, Some(0));
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
