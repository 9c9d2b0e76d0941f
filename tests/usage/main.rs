//! docs/USAGE.md does what it says: each of its blocks is run, in order, in one shell, against a platform of the test's
//! own, and what is printed is what stands there. So do the requests of docs/quadrille.http, and the examples of the
//! OpenAPI documents.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a panic in a test is its report"
)]

mod answer;
mod collection;
mod document;
mod examples;
mod session;

use std::path::PathBuf;

use acceptance::turn;
use session::Session;
use stack::{Service, Stack};

/// Where `make up` serves, and so every address in the documents.
const BASE: &str = "http://127.0.0.1:5000";

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A platform that lets a reader ask as often as one that is delivered does.
async fn as_delivered() -> Stack {
    let limits = [
        ("PER_ADDRESS_PER_MINUTE", "300"),
        ("PER_USER_PER_MINUTE", "120"),
        ("LOGIN_PER_MINUTE", "30"),
    ];
    let stack = limits.iter().fold(Stack::builder(), |stack, (limit, value)| {
        stack.service_env(
            Service::Gateway,
            format!("QUADRILLE__RATE_LIMIT__{limit}"),
            *value,
        )
    });
    Box::pin(stack.build()).await.unwrap()
}

#[tokio::test]
async fn every_block_of_the_usage_document_prints_what_stands_below_it() {
    let _turn = turn().await;
    let stack = as_delivered().await;
    // where a reader is: in the repository, whose .stack has the admin's account
    let here = stack::temporary().unwrap();
    std::os::unix::fs::symlink(stack.directory(), here.path().join(".stack")).unwrap();
    let document = std::fs::read_to_string(repository("docs/USAGE.md")).unwrap();
    let steps = document::steps(&document.replace(BASE, &stack.url()));
    assert!(steps.len() > 20, "only {} steps", steps.len());

    let mut session = Session::start(here.path()).await;
    for step in &steps {
        let printed = match session.run(&step.commands).await {
            Ok(printed) => printed,
            Err(printed) => panic!(
                "docs/USAGE.md:{}: failed:\n{}\n{printed}",
                step.line, step.commands
            ),
        };
        if let Some(line) = answer::parting(&step.answer, &printed) {
            let line = step.answer_line + line;
            panic!(
                "docs/USAGE.md:{line}: expected:\n{}\nprinted:\n{printed}",
                step.answer
            );
        }
    }
}
