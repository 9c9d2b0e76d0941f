//! No process is left behind, however the one that started it ends.

use std::path::Path;
use std::time::{Duration, Instant};

use stack::proc;
use stack::process::{Launch, Process};

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A shell that starts another one, writes down its id, and waits.
fn family(directory: &Path) -> Process {
    let child = directory.join("child");
    let script = format!("sleep 600 & echo $! > {}; wait", child.display());
    Launch::new("family", "/bin/sh", directory.join("log"))
        .args(["-c", &script])
        .start()
        .unwrap()
}

async fn child_of(directory: &Path) -> u32 {
    let file = directory.join("child");
    let read = || std::fs::read_to_string(&file).ok()?.trim().parse().ok();
    eventually("the child has started", || read().is_some()).await;
    read().unwrap()
}

#[tokio::test]
async fn a_dropped_process_takes_its_children_along() {
    let directory = tempfile::tempdir().unwrap();
    let parent = family(directory.path());
    let (pid, child) = (parent.pid(), child_of(directory.path()).await);
    drop(parent);
    assert!(!proc::is_running(pid));
    eventually("the child has ended", || !proc::is_running(child)).await;
}

#[tokio::test]
async fn a_process_outlives_the_thread_that_asked_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let mut process = std::thread::spawn(move || family(&path)).join().unwrap();
    child_of(directory.path()).await;
    assert!(process.is_running());
    assert!(
        process
            .stop(nix::sys::signal::Signal::SIGTERM, Duration::from_secs(5))
            .await
    );
    assert!(!process.is_running());
}

/// Not a test of its own: the next one runs it in a process that it kills.
#[tokio::test]
async fn hold_a_process_when_asked() {
    #[expect(clippy::disallowed_methods, reason = "the parent test names the directory")]
    let Ok(directory) = std::env::var("STACK_TEST_HOLD") else {
        return;
    };
    let directory = Path::new(&directory);
    let script = format!("echo $$ > {}; exec sleep 600", directory.join("child").display());
    let _held = Launch::new("held", "/bin/sh", directory.join("log"))
        .args(["-c", &script])
        .start()
        .unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_children_of_a_killed_test_end_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut test = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::hold_a_process_when_asked"])
        .env("STACK_TEST_HOLD", directory.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let held = child_of(directory.path()).await;
    test.kill().unwrap();
    test.wait().unwrap();
    eventually("the held process has ended", || !proc::is_running(held)).await;
}
