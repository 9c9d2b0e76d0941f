//! Every service's interface, and the gateway's, against its own OpenAPI document: schemathesis makes requests from the
//! document, valid and invalid, and no answer may be a 5xx or anything the document does not tell of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic in a test is its report"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use acceptance::customer::Customer;
use acceptance::turn;
use stack::{Service, Stack};
use tokio::process::Command;

#[tokio::test]
async fn the_services_answer_as_their_documents_say() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    let admin = Customer::admin(&stack).await;
    let services = [
        Service::Auth,
        Service::Order,
        Service::Payment,
        Service::Notification,
    ];
    for service in services {
        // what the requests did to the accounts must not end the admin's login
        let url = stack.service_url(service);
        hold(&format!("{url}/openapi.json"), &url, admin.token()).await;
    }
    let url = stack.url();
    hold(&format!("{url}/openapi.json"), &url, admin.token()).await;
}

/// Makes requests from the document and checks every answer.
async fn hold(document: &str, url: &str, token: &str) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tool = tool(&top);
    let here = top.join("tests/contract");
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(here.join("schemathesis.toml"))
        .args([
            "run",
            document,
            "--url",
            url,
            "--header",
            &format!("Authorization: Bearer {token}"),
        ])
        .env("PYTHONPATH", format!("{}:{}", tool.display(), here.display()))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("python3 runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{document}\n{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!(
        "{document}: {}",
        told.lines().rev().take(6).collect::<Vec<_>>().join(" ")
    );
}

fn tool(top: &Path) -> PathBuf {
    let tool = top.join(".stack/schemathesis");
    assert!(
        tool.join("schemathesis").is_dir(),
        "scripts/setup test installs schemathesis"
    );
    tool
}
