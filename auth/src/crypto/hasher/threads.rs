//! Threads that do nothing but hash: whatever else blocks in this process takes none of them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc;

/// What a thread does.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Starts so many threads. They end when the sender is dropped.
pub(super) fn start(count: usize) -> io::Result<mpsc::Sender<Job>> {
    let (jobs, queue) = mpsc::channel(count);
    let queue = Arc::new(Mutex::new(queue));
    for number in 0..count {
        let queue = Arc::clone(&queue);
        thread::Builder::new()
            .name(format!("hash-{number}"))
            .spawn(move || work(&queue))?;
    }
    Ok(jobs)
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(job) = job else { return };
        // whoever waits for the answer learns of a panic by getting none
        let _ended = catch_unwind(AssertUnwindSafe(job));
    }
}
