//! Threads that do nothing but hash: whatever else blocks in this process takes none of them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc;

use super::memory::Memory;

/// What a thread does, in the memory that it keeps for that.
pub(super) type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Starts so many threads, which are as nice(1) to all others as `niceness` says. They end when the sender is dropped.
pub(super) fn start(count: usize, niceness: u8) -> io::Result<mpsc::Sender<Job>> {
    let (jobs, queue) = mpsc::channel(count);
    let queue = Arc::new(Mutex::new(queue));
    for number in 0..count {
        let queue = Arc::clone(&queue);
        thread::Builder::new()
            .name(format!("hash-{number}"))
            .spawn(move || {
                stand_back(niceness);
                work(&queue);
            })?;
    }
    Ok(jobs)
}

/// Linux has a niceness for each thread; "nobody" is the calling one there.
fn stand_back(niceness: u8) {
    if let Err(error) = rustix::process::setpriority_process(None, niceness.into()) {
        tracing::warn!(%error, "passwords are hashed at the priority of everything else");
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    let mut memory = Memory::default();
    loop {
        let job = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(job) = job else { return };
        // whoever waits for the answer learns of a panic by getting none
        let _ended = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
        memory.wipe();
    }
}
