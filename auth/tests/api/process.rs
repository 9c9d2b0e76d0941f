//! The real process: how it starts, and how it ends.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stack::ports::{Lease, lease};

use crate::harness::{Auth, KEY_ENCRYPTION_KEY, PASSWORD};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Killed when its test fails before its end.
pub(crate) struct Process {
    child: Child,
    http: Lease,
    management: Lease,
}

impl Process {
    fn start(database_url: &str) -> Self {
        Self::start_with(database_url, &[])
    }

    /// A process with variables of the test's own.
    pub(crate) fn start_with(database_url: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(database_url, variables, |serve| serve.stdout(Stdio::piped()))
    }

    /// A process that writes where `to` says.
    pub(crate) fn spawn(
        database_url: &str,
        variables: &[(&str, &str)],
        to: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let [http, management] = [lease().unwrap(), lease().unwrap()];
        let mut serve = command(database_url);
        serve
            .arg("serve")
            .env("QUADRILLE__HTTP__PORT", http.port().to_string())
            .env("QUADRILLE__MANAGEMENT__PORT", management.port().to_string())
            // a test is one user who logs in many times at once
            .env("QUADRILLE__THROTTLE__ACCOUNT_FREE", "100")
            .envs(variables.iter().copied());
        Self {
            child: to(&mut serve).spawn().unwrap(),
            http,
            management,
        }
    }

    fn is_healthy(&self) -> bool {
        let mut check = command("postgres://unused");
        check
            .arg("healthcheck")
            .env("QUADRILLE__MANAGEMENT__PORT", self.management.port().to_string());
        check.stderr(Stdio::null()).status().unwrap().success()
    }

    /// The URL of a path that begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http.port())
    }

    /// One of the sizes in `/proc/<pid>/status`, in KiB: `VmRSS` is resident now, `VmHWM` was at most.
    pub(crate) fn memory_kib(&self, size: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(size));
        let number = line.unwrap().trim_start_matches(':').trim().strip_suffix(" kB");
        number.unwrap().parse().unwrap()
    }

    pub(crate) async fn until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_healthy() {
            assert!(Instant::now() < deadline, "not ready in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn terminate(&self) {
        let kill = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end; answers with the exit code and the lines it logged to this test.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<Value>) {
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text).unwrap();
        }
        let status = self.child.wait().unwrap();
        (
            status.code(),
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // one that has ended is not there to be killed
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn command(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth"));
    command
        .env("QUADRILLE__DATABASE__URL", database_url)
        .env("QUADRILLE__KAFKA__BROKERS", "127.0.0.1:1")
        .env("QUADRILLE__KEYS__ENCRYPTION_SECRET", KEY_ENCRYPTION_KEY)
        .env("QUADRILLE__LOG__FILTER", "info,librdkafka=off")
        // a busy machine takes its time
        .env("QUADRILLE__PASSWORD__ANSWER_MS", "60000")
        .env("QUADRILLE__DATABASE__WAIT_TIMEOUT_MS", "30000");
    command
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_hand() {
    let auth = Auth::start().await;
    auth.register("ada@example.org").await;
    let process = Process::start(auth.database_url());
    process.until_ready().await;
    let url = process.url("/auth/login");
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..8 {
        logins.spawn(client.post(&url).json(&body).send());
    }
    // eight logins take two cores a tenth of a second: with the first answer, most are still in hand
    let first = logins.join_next().await.unwrap().unwrap().unwrap();
    process.terminate();
    let others = logins.join_all().await;
    assert_eq!(first.status(), 200);
    assert!(
        others
            .iter()
            .all(|login| login.as_ref().is_ok_and(|answer| answer.status() == 200)),
        "{others:?}"
    );
    let (code, lines) = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    assert_eq!(code, Some(0), "{lines:?}");
    let logins: Vec<_> = lines.iter().filter(|line| line["message"] == "login").collect();
    assert_eq!(logins.len(), 8);
    assert!(
        logins
            .iter()
            .all(|line| line["trace_id"].as_str().is_some_and(|id| id.len() == 32)),
        "{logins:?}"
    );
    assert!(
        !lines
            .iter()
            .any(|line| line.to_string().contains("ada@example.org")),
        "no address in the log"
    );
}

#[tokio::test]
async fn without_its_schema_it_does_not_start() {
    let database = stack::postgres::TestDatabase::empty().await.unwrap();
    let mut serve = command(database.url());
    serve
        .arg("serve")
        .env("QUADRILLE__DATABASE__START_TIMEOUT_S", "0");
    serve.env("QUADRILLE__HTTP__PORT", "0");
    let output = tokio::task::spawn_blocking(move || serve.output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("run `auth migrate`"), "{said}");
}

#[tokio::test]
async fn two_migrations_at_once_are_one() {
    let database = stack::postgres::TestDatabase::empty().await.unwrap();
    let migrate = || {
        command(database.url())
            .arg("migrate")
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let running: Vec<_> = (0..4).map(|_| migrate()).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_configuration_is_printed_without_its_secrets() {
    let output = command("postgres://auth:s3cret@127.0.0.1/auth")
        .arg("config")
        .output()
        .unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        printed["database"]["url"],
        "postgres://auth:[redacted]@127.0.0.1/auth"
    );
    assert_eq!(printed["password"]["memory_kib"], 19_456);
    assert_eq!(printed["keys"]["encryption_secret"], "[redacted]");
    assert_eq!(printed["keys"]["previous_encryption_secret"], "[redacted]");
    assert_eq!(printed["messaging"]["batch_max"], 500);
    assert_eq!(
        printed["messaging"]["retry_delays_ms"],
        serde_json::json!([1_000, 5_000, 30_000])
    );
    let sources = &printed["sources"];
    assert_eq!(sources["messaging.batch_max"], "default of the messaging kernel");
    assert_eq!(sources["database.url"], "environment QUADRILLE__DATABASE__URL");
}

#[test]
fn a_setting_that_there_is_none_of_is_an_error_before_anything_is_done() {
    for command_name in ["config", "migrate", "serve"] {
        let output = command("postgres://auth:s3cret@127.0.0.1/auth")
            .env("QUADRILLE__HTTP__BODY_LIMIT", "1")
            .env("QUADRILLE__MESSAGING__RETRY_DELAY_MS", "1")
            .arg(command_name)
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("there is no setting QUADRILLE__HTTP__BODY_LIMIT; the nearest is QUADRILLE__HTTP__BODY_LIMIT_BYTES")
                && said.contains("QUADRILLE__MESSAGING__RETRY_DELAYS_MS"),
            "{said}"
        );
        assert!(!said.contains("s3cret"), "{said}");
    }
}
