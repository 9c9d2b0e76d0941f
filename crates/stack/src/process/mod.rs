//! Child processes that never outlive what they belong to.
//!
//! A process is either *tied* to this one, and is killed by the kernel when this one ends however it ends, or
//! *detached*, and then found again by its pid and start time. The kernel's parent-death signal follows the
//! *thread* that forked, so every tied process is forked by one thread that lives as long as the program.

mod command;
mod launch;
mod starve;

pub use command::{run, which};
pub use launch::{Account, Launch, Lifetime};
pub use starve::{Share, Starvation};

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::proc;

/// A started process. Dropping a tied one ends it with the signal of its lifetime and waits for the end.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    started: u64,
    log: PathBuf,
    child: Option<Child>,
    lifetime: Lifetime,
}

impl Process {
    /// Finds a process again that an earlier program started; `None` when it is gone.
    pub fn find(name: &str, pid: u32, started: u64, log: &Path) -> Option<Self> {
        (proc::is_running(pid) && proc::start_time(pid) == Some(started)).then(|| Self {
            name: name.to_owned(),
            pid,
            started,
            log: log.to_owned(),
            child: None,
            lifetime: Lifetime::Detached,
        })
    }

    /// Name given at start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Process id, also the id of its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Start time in clock ticks since boot: with the pid it names the process for ever.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// Log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// True until it has ended.
    pub fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => proc::is_running(self.pid) && proc::start_time(self.pid) == Some(self.started),
        }
    }

    /// How it ended, once it has; unknown of one that an earlier program started.
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Sends a signal to the process alone.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            // It may end between the look and the signal, which is what was wanted anyway.
            let _ = kill(pid_of(self.pid), signal);
        }
    }

    /// Kills the process, its group and all that it started, also those in groups of their own.
    fn kill_all(&mut self) {
        let offspring = if self.is_running() {
            proc::descendants(self.pid)
        } else {
            Vec::new()
        };
        let _ = killpg(pid_of(self.pid), Signal::SIGKILL);
        for pid in offspring {
            let _ = kill(pid_of(pid), Signal::SIGKILL);
        }
    }

    /// Asks it to end with `signal`, waits, and kills its group when it has not ended by then. Returns true when
    /// it ended by itself.
    pub async fn stop(&mut self, signal: Signal, patience: Duration) -> bool {
        self.signal(signal);
        // A stopped process takes its signal only when it goes on.
        self.signal(Signal::SIGCONT);
        let obeyed = self.ended_within(patience).await;
        if obeyed {
            // What it left behind in its group.
            let _ = killpg(pid_of(self.pid), Signal::SIGKILL);
        } else {
            self.kill().await;
        }
        obeyed
    }

    /// Kills the process and its group at once and waits until they are gone.
    pub async fn kill(&mut self) {
        self.kill_all();
        self.ended_within(Duration::from_secs(10)).await;
    }

    /// Waits for its end.
    pub async fn ended_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// The last lines of its log, for messages.
    pub fn log_tail(&self) -> String {
        tail(&self.log, 12)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Lifetime::Tied(signal) = self.lifetime else {
            return;
        };
        if !self.is_running() {
            return;
        }
        self.signal(signal);
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.is_running() && Instant::now() < deadline {
            #[expect(
                clippy::disallowed_methods,
                reason = "a destructor cannot await, and must see the end"
            )]
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill_all();
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }
}

/// The last `lines` lines of a file, empty when it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}
