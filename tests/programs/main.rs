//! What every program of the workspace owes whoever calls it: `--help` tells of it, arguments that it does not know are
//! refused, neither leaves anything behind, and a reader that goes away is no reason to panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

/// A built program.
struct Program {
    name: String,
    path: PathBuf,
}

/// What became of a run.
struct Outcome {
    status: ExitStatus,
    printed: String,
    complained: String,
}

/// All that the workspace builds for somebody to run: its binaries and its examples.
fn programs() -> Vec<Program> {
    let listed = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let packages = listed["packages"].as_array().unwrap();
    let targets = packages
        .iter()
        .flat_map(|package| package["targets"].as_array().unwrap());
    let mut found = Vec::new();
    for target in targets {
        let name = target["name"].as_str().unwrap();
        let directory = match target["kind"][0].as_str().unwrap() {
            "bin" => stack::binaries(),
            "example" => stack::binaries().join("examples"),
            _ => continue,
        };
        let path = directory.join(name);
        assert!(
            path.is_file(),
            "{name} is not built: cargo build --workspace --all-targets"
        );
        found.push(Program {
            name: name.to_owned(),
            path,
        });
    }
    assert!(
        found.len() >= 10,
        "five services, stack, attacks, two of analytics, throughput"
    );
    found
}

impl Program {
    /// Runs it in an empty folder, which it must leave so.
    fn run(&self, arguments: &[&str], stdout: Stdio) -> Outcome {
        let here = tempfile::tempdir().unwrap();
        let output = Command::new(&self.path)
            .args(arguments)
            .current_dir(here.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .output()
            .unwrap();
        let left = std::fs::read_dir(here.path()).unwrap().count();
        assert_eq!(left, 0, "{} {arguments:?} made something", self.name);
        Outcome {
            status: output.status,
            printed: String::from_utf8(output.stdout).unwrap(),
            complained: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The help of a command and of all within it.
    fn helps(&self, command: &[String]) {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = self.run(&arguments, Stdio::piped());
        assert_eq!(
            help.status.code(),
            Some(0),
            "{} {arguments:?}: {}",
            self.name,
            help.complained
        );
        assert!(
            help.printed.contains("Usage: "),
            "{} {arguments:?}: {}",
            self.name,
            help.printed
        );
        assert_eq!(help.complained, "", "{} {arguments:?}", self.name);
        for inner in commands(&help.printed) {
            self.helps(&[command, &[inner]].concat());
        }
    }
}

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

/// A pipe whose reader has gone.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn every_program_and_every_command_of_it_takes_help() {
    for program in programs() {
        program.helps(&[]);
    }
}

#[test]
fn every_program_refuses_arguments_that_it_does_not_know() {
    for program in programs() {
        for unknown in [&["--no-such-argument"][..], &["--help=no"]] {
            let refused = program.run(unknown, Stdio::piped());
            assert_eq!(refused.status.code(), Some(2), "{} {unknown:?}", program.name);
            assert!(
                refused.complained.contains("unexpected"),
                "{}: {}",
                program.name,
                refused.complained
            );
            assert_eq!(refused.printed, "", "{}", program.name);
        }
    }
}

#[test]
fn no_program_panics_where_nobody_reads() {
    let nowhere = tempfile::tempdir().unwrap();
    let no_state = nowhere.path().join("none").display().to_string();
    for program in programs() {
        let printing: &[&[&str]] = match program.name.as_str() {
            "stack" => &[
                &["--help"],
                &["--dir", &no_state, "status"],
                &["--dir", &no_state, "down"],
            ],
            "attacks" => &[&["--help"], &["--list"]],
            "analytics-beside" => &[&["--help"], &[&no_state]],
            "throughput" => &[&["--help"]],
            // a service
            _ => &[&["--help"], &["openapi"], &["config"]],
        };
        for arguments in printing {
            let outcome = program.run(arguments, unread());
            let code = outcome.status.code();
            assert!(
                code.is_some_and(|code| code <= 2) && !outcome.complained.contains("panicked"),
                "{} {arguments:?}: {code:?} {}",
                program.name,
                outcome.complained
            );
        }
    }
    assert!(!Path::new(&no_state).exists(), "a look at nothing makes nothing");
}

#[test]
fn a_help_tells_of_its_commands() {
    let help = "Runs.\n\nUsage: x <COMMAND>\n\nCommands:\n  up    Start\n          more\n  help  Print\n\nOptions:\n  -h\n";
    assert_eq!(commands(help), ["up"]);
}
