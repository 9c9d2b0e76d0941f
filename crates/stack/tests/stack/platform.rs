//! The whole platform with its real services. They must have been built: `cargo build --workspace --bins`.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stack::ports::{self, Lease};
use stack::proc;
use stack::state::State;
use stack::{Service, Stack, platform};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_survives_the_loss_of_each_part_and_leaves_nothing_behind() {
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let mark = stack.directory().display().to_string();
    assert!(stack.is_healthy().await);

    stack.kill9(Service::Payment).await;
    assert!(!stack.is_running(Service::Payment));
    let deadline = Instant::now() + PATIENCE;
    while stack.is_healthy().await {
        assert!(
            Instant::now() < deadline,
            "the gateway does not notice that the payment service has gone"
        );
    }
    stack.start(Service::Payment).await.unwrap();
    stack.wait_until_healthy(PATIENCE).await.unwrap();

    stack.kafka().kill9().await;
    stack.kafka().restart().await.unwrap();
    stack.postgres().kill9().await;
    stack.postgres().restart().await.unwrap();
    stack.wait_until_healthy(PATIENCE).await.unwrap();

    let replica = stack.add_replica(Service::Order).await.unwrap();
    assert_ne!(replica.http, 0);
    assert!(
        stack.stop(Service::Order).await,
        "both order processes stop when asked"
    );

    assert!(!proc::marked(platform::MARK, &mark).is_empty());
    drop(stack);
    assert_eq!(proc::marked(platform::MARK, &mark), [0_u32; 0]);
    assert!(!Path::new(&mark).exists());
}

/// Ports for the command line, which wants those of the services in a row.
struct Row {
    base: u16,
    _leases: Vec<Lease>,
}

fn row() -> Row {
    loop {
        let first = ports::lease().unwrap();
        let base = first.port();
        let rest = (1..5)
            .chain(100..105)
            .map(|offset| ports::try_lease(base + offset).unwrap());
        if let Some(mut leases) = rest.collect::<Option<Vec<Lease>>>() {
            leases.push(first);
            return Row {
                base,
                _leases: leases,
            };
        }
    }
}

fn command(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stack"))
        .arg("--dir")
        .arg(directory)
        .args(args)
        .output()
        .unwrap()
}

/// The same where whoever read has gone, as `head -1` has after a line; it must end well.
fn unread(directory: &Path, args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_stack"))
        .arg("--dir")
        .arg(directory)
        .args(args)
        .stdout(writer)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    output
}

/// Stops what the command line started, also when the test fails.
struct Down<'a>(&'a Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        command(self.0, &["down", "--wipe"]);
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_command_line_starts_what_is_missing_and_stops_everything() {
    let directory = stack::temporary().unwrap();
    let directory = directory.path();
    let _down = Down(directory);
    let (row, postgres) = (row(), ports::lease().unwrap());
    let (kafka, controller) = loop {
        let kafka = ports::lease().unwrap();
        if let Some(controller) = ports::try_lease(kafka.port() + 1).unwrap() {
            break (kafka, controller);
        }
    };
    // The fetched Kafka of the repository serves here too.
    std::os::unix::fs::symlink(stack::repository().join(".stack/kafka"), directory.join("kafka")).unwrap();
    let numbers = [row.base, postgres.port(), kafka.port()].map(|port| port.to_string());
    let up = || {
        let flags = [
            "up",
            "--port",
            &numbers[0],
            "--postgres-port",
            &numbers[1],
            "--kafka-port",
            &numbers[2],
        ];
        let output = command(directory, &flags);
        assert!(output.status.success(), "{}", printed(&output));
        printed(&output)
    };
    assert!(up().contains("ready in"));
    let first = State::load(directory).unwrap();
    assert_eq!(first.processes.len(), 7, "{first:?}");
    assert_eq!(up().matches("runs already").count(), 7);

    let order = first.entry("order").unwrap().pid;
    kill(Pid::from_raw(i32::try_from(order).unwrap()), Signal::SIGKILL).unwrap();
    // As after a stop half-way: a process that runs and is not recorded.
    let mut forgetful = first.clone();
    forgetful.processes.retain(|entry| entry.name != "payment");
    forgetful.save(directory).unwrap();
    let again = up();
    assert_eq!(again.matches("runs already").count(), 5, "{again}");
    assert!(again.contains("ended payment (not recorded)"), "{again}");

    let status = command(directory, &["status"]);
    assert!(status.status.success(), "{}", printed(&status));
    assert_eq!(
        printed(&unread(directory, &["status"])),
        "",
        "nobody reads it, and nobody panics"
    );
    let down = command(directory, &["down", "--wipe"]);
    assert!(down.status.success(), "{}", printed(&down));
    let mark = directory.display().to_string();
    assert_eq!(proc::marked(platform::MARK, &mark), [0_u32; 0]);
    assert!(!directory.join("stack.json").exists());
    assert!(!directory.join("data").exists());
    drop(controller);
}
