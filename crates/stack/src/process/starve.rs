//! Starvation: a process that gets a share of the time.
//!
//! A process that is stopped once and goes on is forgiven by everybody who waits for it long enough. One that runs for a
//! few milliseconds between pauses of seconds is worse: it answers some requests, misses most deadlines, and is neither
//! up nor down. Schedulers, hypervisors and garbage collectors do that to processes on a crowded machine.

use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Process, pid_of};
use crate::proc;

/// How the time of a starved process is cut up. Each pause and each run is drawn from its range.
#[derive(Debug, Clone)]
pub struct Share {
    /// How long it is stopped at a time.
    pub stopped: RangeInclusive<Duration>,
    /// How long it runs at a time.
    pub running: RangeInclusive<Duration>,
}

impl Default for Share {
    /// Stopped for 0.5 to 3 s, running for 10 to 150 ms: about a twentieth of the time.
    fn default() -> Self {
        Self {
            stopped: Duration::from_millis(500)..=Duration::from_secs(3),
            running: Duration::from_millis(10)..=Duration::from_millis(150),
        }
    }
}

/// A process to starve, with all its threads and descendants.
#[derive(Debug, Clone, Copy)]
struct Victim {
    pid: u32,
    started: u64,
}

impl Victim {
    /// Another process may have its id by now.
    fn is_alive(self) -> bool {
        proc::start_time(self.pid) == Some(self.started) && proc::is_running(self.pid)
    }
}

/// Processes that are being starved, together: all of them run, or none does. Dropping this lets them go on, also when
/// the thread that starves them panics.
#[derive(Debug)]
pub struct Starvation {
    ends: Arc<Ends>,
    thread: Option<JoinHandle<()>>,
}

impl Starvation {
    /// Begins to starve these processes and all that they have started or will start. The seed decides the lengths of
    /// pauses and runs. A process that ends meanwhile is left alone, and so is the one that is started in its place.
    pub fn begin<'a>(processes: impl IntoIterator<Item = &'a Process>, share: Share, seed: u64) -> Self {
        let victims: Vec<Victim> = processes
            .into_iter()
            .map(|process| Victim {
                pid: process.pid(),
                started: process.started(),
            })
            .collect();
        let ends = Arc::new(Ends::default());
        let seen = ends.clone();
        // a thread of its own: pauses are to be as long as drawn, however busy the async workers are
        let thread = std::thread::spawn(move || starve(&victims, &share, seed, &seen));
        Self {
            ends,
            thread: Some(thread),
        }
    }

    /// Lets the processes go on; they have been told to when this returns.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Starvation {
    fn drop(&mut self) {
        self.ends.now();
        if let Some(thread) = self.thread.take() {
            // a thread that panicked has let the processes go on, too
            let _ = thread.join();
        }
    }
}

/// The signal to end.
#[derive(Debug, Default)]
struct Ends {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ends {
    fn now(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for `time`. True when it is time to end.
    fn within(&self, time: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(ended, time, |ended| !*ended);
        let (ended, _elapsed) = waited.unwrap_or_else(PoisonError::into_inner);
        *ended
    }
}

fn starve(victims: &[Victim], share: &Share, seed: u64, ends: &Ends) {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let stopped = Stopped::stop(victims);
        let ended = ends.within(random.random_range(share.stopped.clone()));
        drop(stopped);
        if ended || ends.within(random.random_range(share.running.clone())) {
            return;
        }
    }
}

/// Processes that are stopped as long as this lives.
struct Stopped(Vec<u32>);

impl Stopped {
    /// Stops the processes and their descendants. What a process started just before it was stopped is found by
    /// looking again, until there is nothing new: a stopped process starts nothing.
    fn stop(victims: &[Victim]) -> Self {
        let mut stopped = Self(Vec::new());
        let alive = victims.iter().copied().filter(|victim| victim.is_alive());
        let roots: Vec<u32> = alive.map(|victim| victim.pid).collect();
        roots.iter().for_each(|pid| stopped.add(*pid));
        loop {
            let offspring = proc::descendants_of(&roots);
            let new: Vec<u32> = offspring
                .into_iter()
                .filter(|pid| !stopped.0.contains(pid))
                .collect();
            if new.is_empty() {
                return stopped;
            }
            new.into_iter().for_each(|pid| stopped.add(pid));
        }
    }

    fn add(&mut self, pid: u32) {
        self.0.push(pid);
        send(pid, Signal::SIGSTOP);
    }
}

impl Drop for Stopped {
    /// Children first, so that a parent that wakes up finds them running. SIGCONT harms no process that runs.
    fn drop(&mut self) {
        self.0.iter().rev().for_each(|pid| send(*pid, Signal::SIGCONT));
    }
}

fn send(pid: u32, signal: Signal) {
    // it may have ended
    let _ = kill(pid_of(pid), signal);
}
