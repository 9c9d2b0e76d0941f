//! Who listens live. One task a process asks the database which of the listening users were told something, whatever
//! replica told it; the streams then read what is new for themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::Pool;
use contracts::UserId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::store;

/// Users asked for in one query.
const CHUNK: usize = 1_000;

/// The streams of this process. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    listening: Arc<Mutex<HashMap<Uuid, Listening>>>,
    per_user_max: usize,
}

#[derive(Debug)]
struct Listening {
    streams: usize,
    last: watch::Sender<i64>,
}

/// One stream's place; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    streams: Streams,
    user: Uuid,
    last: watch::Receiver<i64>,
}

impl Streams {
    pub(crate) fn new(per_user_max: usize) -> Self {
        Self {
            listening: Arc::default(),
            per_user_max,
        }
    }

    /// A place for one more stream of the user's, if there is one.
    pub(crate) fn join(&self, user: UserId) -> Option<Seat> {
        let user = user.uuid();
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let there = listening.get(&user).map_or(0, |it| it.streams);
        if there >= self.per_user_max {
            return None;
        }
        let entry = listening.entry(user).or_insert_with(|| Listening {
            streams: 0,
            last: watch::Sender::new(0),
        });
        entry.streams = entry.streams.saturating_add(1);
        Some(Seat {
            user,
            last: entry.last.subscribe(),
            streams: self.clone(),
        })
    }

    /// Asks for news until `stop`.
    pub(crate) async fn run(self, pool: Pool, poll: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.ask(&pool).await {
                warn!(error = %error, "the news cannot be read, waiting");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
    }

    async fn ask(&self, pool: &Pool) -> anyhow::Result<()> {
        let users: Vec<Uuid> = {
            let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
            listening.keys().copied().collect()
        };
        for users in users.chunks(CHUNK) {
            let mut conn = pool.get().await?;
            let numbers = store::last_numbers(&mut conn, users).await?;
            drop(conn);
            let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
            for (user, number) in numbers {
                if let Some(it) = listening.get(&user) {
                    it.last
                        .send_if_modified(|last| std::mem::replace(last, number) != number);
                }
            }
        }
        Ok(())
    }
}

impl Seat {
    /// Waits until there may be something new.
    pub(crate) async fn news(&mut self) {
        if self.last.changed().await.is_err() {
            // the sender lives as long as this seat
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut listening = self
            .streams
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = listening.get_mut(&self.user) {
            entry.streams = entry.streams.saturating_sub(1);
            if entry.streams == 0 {
                listening.remove(&self.user);
            }
        }
    }
}
