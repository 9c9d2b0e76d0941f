//! Processor time and memory of each process, from `/proc`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stack::proc;

/// What one part of the platform used during a run.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    /// Name of the process.
    pub(super) name: String,
    /// Processor time in seconds, with that of the processes it started.
    pub(super) cpu_s: f64,
    /// Most memory: resident for a single process, the sum of proportional shares for a family.
    pub(super) peak_bytes: u64,
}

/// Looks at processes now and then while a load runs.
pub(super) struct Sampler {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<Usage>>,
}

impl Sampler {
    /// Begins to look at these processes.
    pub(super) fn begin(pids: Vec<(String, u32)>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        #[expect(clippy::disallowed_methods, reason = "awaited by `end`")]
        let task = tokio::spawn(async move { sample(pids, &stopped).await });
        Self { stop, task }
    }

    /// Ends with what was used since the beginning.
    pub(super) async fn end(self) -> anyhow::Result<Vec<Usage>> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

async fn sample(pids: Vec<(String, u32)>, stopped: &AtomicBool) -> Vec<Usage> {
    let before: Vec<f64> = pids.iter().map(|(_, pid)| family_cpu_s(*pid)).collect();
    let mut peaks = vec![0; pids.len()];
    loop {
        let last = stopped.load(Ordering::Relaxed);
        for (peak, (name, pid)) in peaks.iter_mut().zip(&pids) {
            *peak = (*peak).max(memory_bytes(name, *pid));
        }
        if last {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    pids.into_iter()
        .zip(before)
        .zip(peaks)
        .map(|(((name, pid), before), peak_bytes)| Usage {
            name,
            cpu_s: family_cpu_s(pid) - before,
            peak_bytes,
        })
        .collect()
}

/// Time of the process and its living children; `proc::cpu` adds those that have ended.
fn family_cpu_s(pid: u32) -> f64 {
    let family = if pid == std::process::id() {
        Vec::new()
    } else {
        proc::descendants(pid)
    };
    proc::cpu_s(pid) + family.into_iter().map(proc::cpu_s).sum::<f64>()
}

fn memory_bytes(name: &str, pid: u32) -> u64 {
    if name == "postgres" {
        // Its processes share their buffers, so that a sum of resident sizes would count them again and again.
        let family = proc::descendants(pid);
        return family
            .into_iter()
            .chain([pid])
            .map(proc::proportional_bytes)
            .sum();
    }
    proc::memory(pid).peak_bytes
}
