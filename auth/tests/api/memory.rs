//! What a real process holds in memory after it has hashed.

use futures::StreamExt;
use reqwest::Client;
use serde_json::json;

use crate::harness::{Auth, PASSWORD};
use crate::process::Process;

/// What a process may hold, whatever it did and wherever it runs.
const RESIDENT_MAX_KIB: u64 = 100 * 1024;

/// Logins at once.
const AT_ONCE: usize = 50;

/// What comes from the machine and from no setting, as it is where there are 64 cores.
const AS_ON_64_CORES: [(&str, &str); 2] = [("TOKIO_WORKER_THREADS", "64"), ("MALLOC_ARENA_MAX", "512")];

/// A busy machine hashes slowly; a test is a few users from one address; and nobody reads the log before the end.
const PATIENT: [(&str, &str); 6] = [
    ("QUADRILLE__LOG__FILTER", "warn,librdkafka=off"),
    ("QUADRILLE__PASSWORD__ANSWER_MS", "60000"),
    ("QUADRILLE__PASSWORD__WAIT_MS", "60000"),
    ("QUADRILLE__DATABASE__WAIT_TIMEOUT_MS", "30000"),
    ("QUADRILLE__THROTTLE__ACCOUNT_FREE", "1000000"),
    ("QUADRILLE__THROTTLE__ADDRESS_FREE", "1000000"),
];

/// Logins of the run; `QUADRILLE_LOGINS=2000` asks for more.
#[expect(clippy::disallowed_methods, reason = "a longer run of the same test")]
fn logins() -> usize {
    std::env::var("QUADRILLE_LOGINS").map_or(4 * AT_ONCE, |logins| logins.parse().unwrap())
}

/// Logs in so many times, fifty at once; answers with what the process held at most and holds then, in KiB.
async fn memory_after(logins: usize) -> (u64, u64) {
    let auth = Auth::start().await;
    let emails: Vec<_> = (0..10)
        .map(|number| format!("user{number}@example.org"))
        .collect();
    for email in &emails {
        assert_eq!(auth.register(email).await.status, 201);
    }
    let variables: Vec<_> = AS_ON_64_CORES.into_iter().chain(PATIENT).collect();
    let process = Process::start_with(auth.database_url(), &variables);
    process.until_ready().await;
    let (client, url) = (
        Client::builder().no_proxy().build().unwrap(),
        process.url("/auth/login"),
    );
    let attempts = futures::stream::iter(emails.iter().cycle().take(logins)).map(|email| {
        let login = client
            .post(&url)
            .json(&json!({"email": email, "password": PASSWORD}));
        async { login.send().await.unwrap().status() }
    });
    let answers: Vec<_> = attempts.buffer_unordered(AT_ONCE).collect().await;
    let held = (process.memory_kib("VmHWM"), process.memory_kib("VmRSS"));
    println!(
        "after {logins} logins: at most {} KiB, now {} KiB",
        held.0, held.1
    );
    process.terminate();
    let (code, lines) = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    assert_eq!(code, Some(0));
    let refused: Vec<_> = answers.iter().filter(|status| **status != 200).collect();
    assert!(refused.is_empty(), "{refused:?}: {lines:#?}");
    held
}

#[tokio::test]
async fn fifty_logins_at_once_leave_no_memory_behind() {
    let (most, settled) = memory_after(logins()).await;
    assert!(
        most <= RESIDENT_MAX_KIB && settled <= RESIDENT_MAX_KIB,
        "{most} {settled}"
    );
}
