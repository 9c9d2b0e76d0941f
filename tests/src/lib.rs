//! What the acceptance tests drive the platform with, and judge it by: the interface as a customer meets it, the
//! records on Kafka, and the books of all services side by side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

pub mod books;
pub mod customer;
pub mod records;

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

/// How long anything may take that takes a moment on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

static ONE_STACK: Mutex<()> = Mutex::const_new(());

/// The right to run a stack: one at a time, or they only starve each other.
pub async fn turn() -> MutexGuard<'static, ()> {
    ONE_STACK.lock().await
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time; `what` says what was waited for.
pub async fn until<T>(what: &str, patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(25));
    loop {
        tick.tick().await;
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(begin.elapsed() < patience, "waited {patience:?} for {what}");
    }
}
