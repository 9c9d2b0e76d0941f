//! Against stripe-mock, which Stripe makes of its own description of its interface: it refuses paths and parameters that
//! do not exist, and versions that it does not speak. It keeps no state, so each story sets what it answers.
//!
//! `scripts/setup test` builds it where Go is, and `.stack/stripe-mock` points there. Where it is not, the stories are left
//! out, and say so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use payment::domain::Provider;
use serde_json::{Value, json};

use super::fake::API_VERSION;
use crate::harness::{Order, Payments, until};

/// Its process; it ends with its value.
struct StripeMock {
    process: std::process::Child,
    url: String,
    https_url: String,
    _ports: [stack::ports::Lease; 2],
    _directory: tempfile::TempDir,
}

impl StripeMock {
    /// One that answers with intents like `intent`. None where it is not there.
    async fn start(intent: &Value) -> Option<Self> {
        let Some(tool) = tool() else {
            eprintln!(
                "skipped: there is no stripe-mock; scripts/setup test builds it, and needs Go for that"
            );
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let fixtures = directory.path().join("fixtures.json");
        std::fs::write(&fixtures, fixtures_with(&tool, intent).to_string()).unwrap();
        let ports = [(); 2].map(|()| stack::ports::lease().unwrap());
        let [http, https] = [&ports[0], &ports[1]].map(|port| format!("127.0.0.1:{}", port.port()));
        let process = Command::new(tool.join("bin/stripe-mock"))
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

/// The folder that has it, with its fixtures.
fn tool() -> Option<PathBuf> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.stack/stripe-mock");
    tool.join("bin/stripe-mock").is_file().then_some(tool)
}

/// Its own fixtures, with the intent's members set so.
fn fixtures_with(tool: &Path, intent: &Value) -> Value {
    let its_own = std::fs::read(tool.join("fixtures.json")).unwrap();
    let mut fixtures: Value = serde_json::from_slice(&its_own).unwrap();
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
