//! Background tasks of a process, and how they end.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts and stops background tasks. Cheap to clone.
///
/// At a stop the order is: [`Tasks::draining`] is cancelled, HTTP stops accepting and finishes what it holds,
/// the tasks' own token is cancelled, the tasks are awaited for a bounded time.
#[derive(Clone, Debug)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    runtime: Handle,
    tracker: TaskTracker,
    draining: CancellationToken,
    stopping: CancellationToken,
    failed: AtomicBool,
}

impl Tasks {
    /// Tasks on the runtime this is called from.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                runtime: Handle::current(),
                tracker: TaskTracker::new(),
                draining: CancellationToken::new(),
                stopping: CancellationToken::new(),
                failed: AtomicBool::new(false),
            }),
        }
    }

    /// Starts a task on the main runtime. It must end soon after its token is cancelled. A task that panics
    /// takes the process down in good order, so that a supervisor starts it anew.
    pub fn spawn<F, Fut>(&self, name: &'static str, task: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let future = task(self.inner.stopping.clone());
        let tasks = self.clone();
        let guarded = async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                tracing::error!(task.name = name, "background task panicked, stopping the process");
                tasks.fail();
            }
        };
        self.inner.tracker.spawn_on(guarded, &self.inner.runtime);
    }

    /// The main runtime: where anything must live that outlasts an HTTP worker.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Cancelled the moment a stop begins: long responses (streams) end on it, so that HTTP can drain.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.inner.draining.clone()
    }

    /// Cancelled once HTTP has drained: what background tasks end on.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.inner.stopping.clone()
    }

    /// Asks the process to stop.
    pub fn stop(&self) {
        self.inner.draining.cancel();
    }

    /// Asks the process to stop and to exit with a failure.
    pub fn fail(&self) {
        self.inner.failed.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Whether something asked for a failing exit.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.inner.failed.load(Ordering::Relaxed)
    }

    /// Cancels the tasks and waits for them, for `limit` at most. Returns whether all ended.
    pub async fn finish(&self, limit: Duration) -> bool {
        self.inner.draining.cancel();
        self.inner.stopping.cancel();
        self.inner.tracker.close();
        tokio::time::timeout(limit, self.inner.tracker.wait())
            .await
            .is_ok()
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_when_asked() {
        let tasks = Tasks::new();
        tasks.spawn("waits", |token| async move { token.cancelled().await });
        assert!(tasks.finish(Duration::from_secs(5)).await);
        assert!(!tasks.has_failed());
    }

    #[tokio::test]
    async fn a_panicking_task_stops_the_process() {
        let tasks = Tasks::new();
        tasks.spawn("panics", |_| async move { panic!("a bug") });
        tokio::time::timeout(Duration::from_secs(5), tasks.draining().cancelled())
            .await
            .unwrap();
        assert!(tasks.has_failed());
    }

    #[tokio::test]
    async fn a_task_that_will_not_end_is_left_behind() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", |_| std::future::pending());
        assert!(!tasks.finish(Duration::from_millis(10)).await);
    }
}
