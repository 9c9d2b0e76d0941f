//! Ends a stack that an earlier program started, with all that belongs to it.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::MARK;
use crate::error::{IoContext, Result};
use crate::proc;
use crate::state::State;

/// One process that was ended.
#[derive(Debug)]
pub struct Ended {
    /// Its name, or what it is when it was not recorded.
    pub name: String,
    /// Its id.
    pub pid: u32,
    /// False when it had to be killed.
    pub obeyed: bool,
}

/// Ends every recorded process, the services first, then what they need; then whatever else carries the mark of
/// this directory. `told` hears of each.
pub async fn take_down(directory: &Path, told: &(dyn Fn(&Ended) + Sync)) -> Result<usize> {
    let mut state = State::load(directory)?;
    let foundation = |name: &str| matches!(name, "kafka" | "postgres");
    let (below, services): (Vec<_>, Vec<_>) = std::mem::take(&mut state.processes)
        .into_iter()
        .partition(|entry| foundation(&entry.name));
    let mut count = 0;
    for tier in [services, below] {
        let ends = tier
            .into_iter()
            .filter_map(|entry| entry.find())
            .map(async |mut process| {
                let signal = if process.name() == "postgres" {
                    Signal::SIGINT
                } else {
                    Signal::SIGTERM
                };
                let obeyed = process.stop(signal, Duration::from_secs(40)).await;
                told(&Ended {
                    name: process.name().to_owned(),
                    pid: process.pid(),
                    obeyed,
                });
            });
        count += futures::future::join_all(ends).await.len();
    }
    count += sweep(directory, &[], told).await;
    let file = directory.join("stack.json");
    if file.exists() {
        std::fs::remove_file(&file).at("remove", &file)?;
    }
    Ok(count)
}

/// Ends the processes that carry the mark of `directory` and are not in `known`: the remains of a start that was
/// stopped half-way.
pub(super) async fn sweep(directory: &Path, known: &[u32], told: &(dyn Fn(&Ended) + Sync)) -> usize {
    let mark = directory.display().to_string();
    let left = || {
        let mut pids = proc::marked(MARK, &mark);
        pids.retain(|pid| {
            !known
                .iter()
                .any(|ours| ours == pid || proc::descendants(*ours).contains(pid))
                && *pid != std::process::id()
        });
        pids
    };
    let found = left();
    let mut strays = Vec::new();
    for pid in &found {
        // A server ends its own children.
        if found.iter().any(|other| proc::descendants(*other).contains(pid)) {
            continue;
        }
        let name = proc::name(*pid).unwrap_or_default();
        send(
            *pid,
            if name == "postgres" {
                Signal::SIGINT
            } else {
                Signal::SIGTERM
            },
        );
        strays.push((*pid, name));
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while !left().is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stubborn = left();
    stubborn.iter().for_each(|pid| send(*pid, Signal::SIGKILL));
    for (pid, name) in &strays {
        told(&Ended {
            name: format!("{name} (not recorded)"),
            pid: *pid,
            obeyed: !stubborn.contains(pid),
        });
    }
    strays.len()
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}
