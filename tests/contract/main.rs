//! Every service's interface against its own OpenAPI document, asked directly and through the gateway, and the gateway's
//! own: schemathesis makes requests from the document, valid and invalid, and no answer may be a 5xx or anything the
//! document does not tell of. Whatever needs a login must also have succeeded: refusals alone show little.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod things;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use acceptance::customer::Customer;
use acceptance::{PATIENCE, turn, until};
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Service, Stack};
use things::Things;
use tokio::process::Command;
use uuid::Uuid;

/// The documents' examples, each value at its bounds, and values at random.
const EVERYTHING: &str = "examples,coverage,fuzzing";
/// The same without the random ones.
const COVERAGE: &str = "examples,coverage";

/// What cannot be expected to succeed.
const NEVER: [(&str, &str); 4] = [
    ("PUT /auth/password", "no document tells the current password"),
    (
        "GET /notifications/stream",
        "waits for what is to come: its own tests read it",
    ),
    (
        "/notifications/webhooks",
        "an address must resolve, and none of the documents' does here: their own tests call them",
    ),
    (
        "/dead-letters/{id}",
        "only payments have dead letters here; the code is the same in every service",
    ),
];

#[tokio::test]
async fn the_services_answer_as_their_documents_say() {
    let _turn = turn().await;
    let builder = Stack::builder().service_env(
        Service::Notification,
        "QUADRILLE__WEBHOOKS__ALLOW_PRIVATE_ADDRESSES",
        "true",
    );
    let stack = Box::pin(builder.build()).await.unwrap();
    // made before the first request: requests change what the next orders become
    let (directly, through) = (Things::make(&stack).await, Things::make(&stack).await);
    let services = [
        Service::Auth,
        Service::Order,
        Service::Payment,
        Service::Notification,
    ];
    let gateway = stack.url();
    for service in services {
        let own = stack.service_url(service);
        futures::join!(
            hold(&stack, (&own, &own), &directly, EVERYTHING),
            // the same answers are expected; this shows that the gateway changes none of them
            hold(&stack, (&own, &gateway), &through, COVERAGE),
        );
    }
    hold(&stack, (&gateway, &gateway), &through, EVERYTHING).await;
}

/// Makes requests to `url` from the document at `documented` and checks every answer.
async fn hold(stack: &Stack, (documented, url): (&str, &str), things: &Things, phases: &str) {
    let document = format!("{documented}/openapi.json");
    let admin = admin(stack).await;
    let mut known = things.known.clone();
    known.insert("/auth/sessions/{id}".to_owned(), another_login(stack).await);
    let directory = stack.directory().join(Uuid::new_v4().to_string());
    std::fs::create_dir(&directory).unwrap();
    let (world, seen) = (directory.join("world.json"), directory.join("seen"));
    let told = json!({
        "token": admin.token(), "known": known, "seen": seen,
        "guest": things.guest, "login": format!("{}/auth/login", stack.url()),
    });
    std::fs::write(&world, told.to_string()).unwrap();
    run(&document, url, &world, phases).await;
    let answers = Answers::read(&seen);
    answers.include_successes(&document, &operations_with_login(&document).await);
}

/// The admin, once requests that guessed at the current password do not count any more.
async fn admin(stack: &Stack) -> Customer {
    let account = json!({"email": stack.admin().email, "password": stack.admin().password});
    until("the admin may log in", PATIENCE, async || {
        let stranger = Customer::stranger(stack);
        let login = stranger.send(Method::POST, "/auth/login", Some(&account)).await;
        (login.status == 200).then_some(())
    })
    .await;
    Customer::admin(stack).await
}

/// The parameters of a login of the admin's that nobody uses.
async fn another_login(stack: &Stack) -> Value {
    let other = Customer::admin(stack).await;
    let sessions = other.get("/auth/sessions").await;
    let own = sessions.items().iter().find(|session| session["current"] == true);
    json!({"id": own.expect("the login that asks")["id"]})
}

async fn run(document: &str, url: &str, world: &Path, phases: &str) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tool = tool(&top);
    let here = top.join("tests/contract");
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(here.join("schemathesis.toml"))
        .args(["run", document, "--url", url, "--phases", phases])
        .env("PYTHONPATH", format!("{}:{}", tool.display(), here.display()))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("QUADRILLE_CONTRACT", world)
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("python3 runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{document} at {url}\n{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!(
        "{document} at {url}: {}",
        told.lines().rev().take(6).collect::<Vec<_>>().join(" ")
    );
}

/// How often each operation was answered with which status.
struct Answers(BTreeMap<String, BTreeMap<u16, usize>>);

impl Answers {
    fn read(seen: &Path) -> Self {
        let mut answers = BTreeMap::<String, BTreeMap<u16, usize>>::new();
        for line in std::fs::read_to_string(seen).unwrap().lines() {
            let (status, operation) = line.split_once(' ').unwrap();
            let of_one = answers.entry(operation.to_owned()).or_default();
            *of_one.entry(status.parse().unwrap()).or_default() += 1;
        }
        Self(answers)
    }

    /// Each of the operations succeeded at least once.
    fn include_successes(&self, document: &str, operations: &[String]) {
        let succeeded = |operation: &String| {
            let answers = self.0.get(operation);
            answers.is_some_and(|answers| answers.range(200..300).next().is_some())
        };
        let is_expected = |operation: &&String| {
            operation.contains("/payments/dead-letters/{id}")
                || !NEVER.iter().any(|(never, _why)| operation.contains(never))
        };
        let failed: Vec<_> = operations
            .iter()
            .filter(is_expected)
            .filter(|operation| !succeeded(operation))
            .map(|operation| (operation, self.0.get(operation)))
            .collect();
        assert!(failed.is_empty(), "{document}: never succeeded: {failed:#?}");
    }
}

/// `METHOD /path` of what a document says needs a login.
async fn operations_with_login(document: &str) -> Vec<String> {
    let document = reqwest::get(document).await.unwrap();
    let document: Value = serde_json::from_slice(&document.bytes().await.unwrap()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"]
                .as_array()
                .is_some_and(|needed| !needed.is_empty())
            {
                found.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert!(!found.is_empty(), "nothing needs a login");
    found
}

fn tool(top: &Path) -> PathBuf {
    let tool = top.join(".stack/schemathesis");
    assert!(
        tool.join("schemathesis").is_dir(),
        "scripts/setup test installs schemathesis"
    );
    tool
}
