//! No process is left behind, however the one that started it ends.

use std::path::Path;
use std::time::{Duration, Instant};

use stack::proc;
use stack::process::{Launch, Process, Share, Starvation};

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

fn share(stopped_ms: u64, running_ms: u64) -> Share {
    let [stopped, running] = [stopped_ms, running_ms].map(Duration::from_millis);
    Share {
        stopped: stopped..=stopped,
        running: running..=running,
    }
}

/// A shell that does nothing but start one short process after another.
fn breeder(directory: &Path) -> Process {
    let script = "while true; do sleep 0.01; done & while true; do sleep 0.01; done";
    Launch::new("breeder", "/bin/sh", directory.join("log"))
        .args(["-c", script])
        .start()
        .unwrap()
}

#[tokio::test]
async fn a_starved_process_runs_for_its_share_of_the_time_with_all_that_it_starts() {
    let directory = tempfile::tempdir().unwrap();
    let breeder = breeder(directory.path());
    eventually("it has descendants", || {
        proc::descendants(breeder.pid()).len() > 2
    })
    .await;
    let starvation = Starvation::begin([&breeder], share(90, 10), 1);
    let (mut looks, mut stopped) = (0, 0);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        looks += 1;
        stopped += i32::from(proc::is_stopped(breeder.pid()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(stopped > looks / 2, "stopped at {stopped} of {looks} looks");
    assert!(stopped < looks, "it never ran");
    eventually("all of it is stopped at once", || {
        let family: Vec<u32> = proc::descendants(breeder.pid())
            .into_iter()
            .chain([breeder.pid()])
            .collect();
        let alive = family.iter().filter(|pid| proc::is_running(**pid));
        alive.clone().count() > 2 && alive.into_iter().all(|pid| proc::is_stopped(*pid))
    })
    .await;
    starvation.end();
    let family = proc::descendants(breeder.pid());
    assert!(!proc::is_stopped(breeder.pid()));
    assert!(
        family.iter().all(|pid| !proc::is_stopped(*pid)),
        "one is still stopped"
    );
}

#[tokio::test]
async fn what_is_starved_goes_on_when_its_starver_panics_and_ends_when_it_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut parent = family(directory.path());
    let child = child_of(directory.path()).await;
    let died = std::thread::scope(|scope| {
        let starver = scope.spawn(|| {
            let _starvation = Starvation::begin([&parent], share(60_000, 1), 1);
            let deadline = Instant::now() + Duration::from_secs(5);
            while !(proc::is_stopped(parent.pid()) && proc::is_stopped(child)) {
                assert!(Instant::now() < deadline, "it was not stopped in time");
                std::thread::yield_now();
            }
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        starver.join().is_err()
    });
    assert!(died && !proc::is_stopped(parent.pid()) && !proc::is_stopped(child));

    let starvation = Starvation::begin([&parent], share(60_000, 1), 1);
    eventually("it is stopped", || proc::is_stopped(child)).await;
    parent.kill().await;
    assert!(!parent.is_running());
    drop(starvation);
}
