//! One bash, as a reader has it: what a block sets is there in the next.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a block may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is printed after each block; no block prints it.
const MARK: &str = "-- that was the block --";

pub(crate) struct Session {
    bash: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// A shell that works in `directory` and ends with the first command that fails.
    pub(crate) async fn start(directory: &Path) -> Self {
        let mut bash = Command::new("bash")
            .args(["--norc", "-eu", "-o", "pipefail"])
            .current_dir(directory)
            // the platform is on this machine, whatever proxy the rest of the world is behind
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("bash runs");
        let mut input = bash.stdin.take().unwrap();
        input.write_all(b"exec 2>&1\n").await.unwrap();
        Self {
            input,
            output: BufReader::new(bash.stdout.take().unwrap()),
            bash,
        }
    }

    /// Runs a block and returns what it printed; an error is what it printed until it failed or took too long.
    pub(crate) async fn run(&mut self, commands: &str) -> Result<String, String> {
        // whatever reads its standard input must not read the blocks that follow
        let block = format!("{{\n{commands}\n}} </dev/null\nprintf '\\n%s\\n' '{MARK}'\n");
        self.input.write_all(block.as_bytes()).await.unwrap();
        let mut printed = String::new();
        match timeout(PATIENCE, self.read(&mut printed)).await {
            Ok(true) => Ok(printed),
            Ok(false) => Err(format!("{printed}\n{:?}", self.bash.wait().await)),
            Err(_elapsed) => Err(format!("{printed}\nnot done within {PATIENCE:?}")),
        }
    }

    /// Reads up to the mark; whether it came.
    async fn read(&mut self, printed: &mut String) -> bool {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).await.unwrap() == 0 {
                return false;
            }
            if line.trim_end() == MARK {
                return true;
            }
            printed.push_str(&line);
        }
    }
}

#[tokio::test]
async fn a_block_knows_what_the_one_before_set_and_a_failure_is_told() {
    let directory = stack::temporary().unwrap();
    let mut session = Session::start(directory.path()).await;
    assert_eq!(
        session
            .run("name=Ada; greet() { echo \"hello $1\"; }")
            .await
            .unwrap(),
        "\n"
    );
    assert_eq!(
        session.run("greet \"$name\"; cat").await.unwrap(),
        "hello Ada\n\n"
    );
    let told = session
        .run("echo before; false | cat; echo after")
        .await
        .unwrap_err();
    assert!(told.starts_with("before\n") && !told.contains("after"), "{told}");
}
