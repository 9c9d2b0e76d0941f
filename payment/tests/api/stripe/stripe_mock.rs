//! Against stripe-mock, which Stripe makes of its own description of its interface: it refuses paths and parameters that
//! do not exist, and versions that it does not speak. It keeps no state, so each story sets what it answers.
//!
//! stripe-mock is a Go program of a pinned version. The first story that needs it fetches and builds it with `go install`
//! (`GOFLAGS=-mod=mod GOBIN=target/tools/stripe-mock-<version>/bin go install github.com/stripe/stripe-mock@<version>`) and
//! keeps it there. Go is looked for in the variable `GO`, on the `PATH` and in `/usr/local/go/bin`. Only where there is no
//! Go are the stories skipped, and say so; where there is, a stripe-mock that cannot be had is a failure.
#![expect(clippy::disallowed_methods, reason = "a test may look where its tools are")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use payment::domain::Provider;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::fake::API_VERSION;
use crate::harness::{Order, Payments, until};

const VERSION: &str = "v0.203.0";
const MODULE: &str = "github.com/stripe/stripe-mock";

/// Its process; it ends with its value.
struct StripeMock {
    process: std::process::Child,
    url: String,
    https_url: String,
    _ports: [stack::ports::Lease; 2],
    _directory: tempfile::TempDir,
}

impl StripeMock {
    /// One that answers with intents like `intent`. None where it cannot be had.
    async fn start(intent: &Value) -> Option<Self> {
        let Some(binary) = binary().await else {
            eprintln!("skipped: stripe-mock cannot be built, for there is no Go");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let fixtures = directory.path().join("fixtures.json");
        std::fs::write(&fixtures, fixtures_with(&binary, intent).to_string()).unwrap();
        let ports = [(); 2].map(|()| stack::ports::lease().unwrap());
        let [http, https] = [&ports[0], &ports[1]].map(|port| format!("127.0.0.1:{}", port.port()));
        let process = Command::new(binary)
            .args([
                "-strict-version-check",
                "-http-addr",
                &http,
                "-https-addr",
                &https,
            ])
            .arg("-fixtures")
            .arg(&fixtures)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (url, https_url) = (format!("http://{http}"), format!("https://{https}"));
        until("stripe-mock answers", async || reqwest::get(&url).await.ok()).await;
        Some(Self {
            process,
            url,
            https_url,
            _ports: ports,
            _directory: directory,
        })
    }

    async fn post(&self, path: &str, form: &'static str) -> u16 {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .bearer_auth("sk_test_1")
            .header("stripe-version", API_VERSION)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        request.send().await.unwrap().status().as_u16()
    }
}

impl Drop for StripeMock {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn tools() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    target.join("tools").join(format!("stripe-mock-{VERSION}"))
}

async fn binary() -> Option<PathBuf> {
    static BINARY: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let find = || async { tokio::task::spawn_blocking(find).await.unwrap() };
    BINARY.get_or_init(find).await.clone()
}

fn find() -> Option<PathBuf> {
    let binary = tools().join("bin/stripe-mock");
    if binary.exists() && tools().join("fixtures.json").exists() {
        return Some(binary);
    }
    let go = go()?;
    std::fs::create_dir_all(tools()).unwrap();
    let installed = Command::new(&go)
        .args(["install", &format!("{MODULE}@{VERSION}")])
        .env("GOFLAGS", "-mod=mod")
        .env("GOBIN", tools().join("bin"))
        .current_dir(tools())
        .status()
        .unwrap();
    assert!(installed.success(), "stripe-mock could not be built");
    let module = Command::new(&go)
        .args(["mod", "download", "-json", &format!("{MODULE}@{VERSION}")])
        .current_dir(tools())
        .output()
        .unwrap();
    let module: Value = serde_json::from_slice(&module.stdout).unwrap();
    let fixtures = Path::new(module["Dir"].as_str().unwrap()).join("embedded/openapi/fixtures3.json");
    std::fs::write(tools().join("fixtures.json"), std::fs::read(fixtures).unwrap()).unwrap();
    Some(binary)
}

fn go() -> Option<PathBuf> {
    let named = std::env::var_os("GO").map(PathBuf::from);
    let usual = [PathBuf::from("go"), PathBuf::from("/usr/local/go/bin/go")];
    named.into_iter().chain(usual).find(|go| {
        let mut version = Command::new(go);
        version.arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    })
}

/// Its own fixtures, with the intent's members set so.
fn fixtures_with(binary: &Path, intent: &Value) -> Value {
    let beside = binary
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("fixtures.json");
    let mut fixtures: Value = serde_json::from_slice(&std::fs::read(beside).unwrap()).unwrap();
    let fixture = &mut fixtures["resources"]["payment_intent"];
    for (name, value) in intent.as_object().unwrap() {
        fixture[name] = value.clone();
    }
    fixtures
}

async fn payments_at(mock: &StripeMock) -> Payments {
    Payments::with(&[
        ("provider.kind", Provider::Stripe.as_str()),
        ("provider.stripe.base_url", &mock.url),
        ("provider.stripe.secret_key", "sk_test_1"),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_own_description_knows_every_call_of_a_paid_and_refunded_order() {
    let taken = json!({"status": "succeeded", "amount": 1999, "amount_received": 1999, "currency": "eur"});
    let Some(mock) = StripeMock::start(&taken).await else {
        return;
    };
    // it would tell: a parameter that does not exist
    let path = "/v1/payment_intents";
    assert_eq!(mock.post(path, "amount=1999&currency=eur").await, 200);
    assert_eq!(
        mock.post(path, "amount=1999&currency=eur&of_tomorrow=1").await,
        400
    );

    let payments = payments_at(&mock).await;
    let order = Order::by("pm_card_visa");
    assert!(payments.placed_at_stripe(&order).await);
    let payment = payments.becomes(&order, "completed").await;
    assert!(
        payment["provider_reference"].as_str().unwrap().starts_with("pi_"),
        "{payment}"
    );
    assert!(payments.cancelled(&order).await);
    let payment = payments.becomes(&order, "refunded").await;
    assert!(
        payment["refund_reference"].as_str().unwrap().starts_with("re_"),
        "{payment}"
    );
    payments.at_rest().await;
    assert_eq!(
        payments.rows("select id from dead_letter").await,
        Vec::<Value>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_own_description_knows_the_cancelling_of_an_intent() {
    // it waits for the customer whatever is asked: the charge cancels it, and is declined
    let waiting = json!({"status": "requires_action", "amount": 1999, "currency": "eur"});
    let Some(mock) = StripeMock::start(&waiting).await else {
        return;
    };
    let payments = payments_at(&mock).await;
    let order = Order::by("pm_card_authenticationRequired");
    assert!(payments.placed_at_stripe(&order).await);
    let payment = payments.becomes(&order, "failed").await;
    assert_eq!(payment["failure_code"], "authentication_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_that_is_asked_for_is_the_one_that_stripes_description_has() {
    let Some(mock) = StripeMock::start(&json!({})).await else {
        return;
    };
    let payments = Payments::with(&[
        ("provider.kind", "stripe"),
        ("provider.stripe.base_url", &mock.url),
        ("provider.stripe.secret_key", "sk_test_1"),
        ("provider.stripe.api_version", "2019-01-01"),
    ])
    .await;
    let order = Order::by("pm_card_visa");
    assert!(payments.placed_at_stripe(&order).await);
    let dead = until("it is given up", async || {
        payments
            .rows("select error_class, error_message from work where state = 'dead'")
            .await
            .pop()
    })
    .await;
    assert_eq!(dead["error_class"], "provider-misconfigured", "{dead}");
    let message = dead["error_message"].as_str().unwrap();
    assert!(message.contains("provider.stripe.api_version"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_to_be_stripe_is_told_nothing() {
    let Some(mock) = StripeMock::start(&json!({})).await else {
        return;
    };
    // its certificate is its own, and no authority's
    let payments = Payments::with(&[
        ("provider.kind", "stripe"),
        ("provider.stripe.base_url", &mock.https_url),
        ("provider.stripe.secret_key", "sk_test_1"),
        ("messaging.backoff_max_ms", "60000"),
    ])
    .await;
    let order = Order::by("pm_card_visa");
    assert!(payments.placed_at_stripe(&order).await);
    let waits = until("it was tried", async || {
        let query = "select attempts, state from work where claim is null and next_attempt_at > now() + interval '5 s'";
        payments.rows(query).await.pop()
    })
    .await;
    assert_eq!(waits, json!({"attempts": 0, "state": "pending"}));
    payments.becomes(&order, "processing").await;
}
