//! Who listens live. One task a process asks the database which of the listening users were told something, whatever
//! replica told it; the streams then read what is new for themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::Pool;
use contracts::UserId;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::store;

/// Users asked for in one query.
const CHUNK: usize = 1_000;

/// The streams of this process. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    taken: Arc<Mutex<Taken>>,
    freed: Arc<Notify>,
    per_user_max: usize,
    per_process_max: usize,
    wait: Duration,
}

/// Places that are taken.
#[derive(Debug, Default)]
struct Taken {
    streams: usize,
    listening: HashMap<Uuid, Listening>,
}

/// Why there is no place for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// The user has as many as one may have.
    User,
    /// The process has.
    Process,
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
    pub(crate) fn new(per_user_max: usize, per_process_max: usize, wait: Duration) -> Self {
        Self {
            taken: Arc::default(),
            freed: Arc::default(),
            per_user_max,
            per_process_max,
            wait,
        }
    }

    /// A place for one more stream of the user's, as soon as there is one.
    ///
    /// # Errors
    /// Why there is none when the wait for one is over.
    pub(crate) async fn join(&self, user: UserId) -> Result<Seat, NoSeat> {
        let give_up = Instant::now() + self.wait;
        loop {
            // before it is looked: what becomes free in between counts
            let freed = self.freed.notified();
            match self.take(user) {
                Err(_) if timeout_at(give_up, freed).await.is_ok() => {}
                taken => return taken,
            }
        }
    }

    fn take(&self, user: UserId) -> Result<Seat, NoSeat> {
        let user = user.uuid();
        let mut taken = self.taken();
        let there = taken.listening.get(&user).map_or(0, |it| it.streams);
        if there >= self.per_user_max {
            return Err(NoSeat::User);
        }
        if taken.streams >= self.per_process_max {
            return Err(NoSeat::Process);
        }
        taken.streams = taken.streams.saturating_add(1);
        let entry = taken.listening.entry(user).or_insert_with(|| Listening {
            streams: 0,
            last: watch::Sender::new(0),
        });
        entry.streams = entry.streams.saturating_add(1);
        Ok(Seat {
            user,
            last: entry.last.subscribe(),
            streams: self.clone(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
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
        let users: Vec<Uuid> = self.taken().listening.keys().copied().collect();
        for users in users.chunks(CHUNK) {
            let mut conn = pool.get().await?;
            let numbers = store::last_numbers(&mut conn, users).await?;
            drop(conn);
            let taken = self.taken();
            for (user, number) in numbers {
                if let Some(it) = taken.listening.get(&user) {
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
        let mut taken = self.streams.taken();
        taken.streams = taken.streams.saturating_sub(1);
        if let Some(entry) = taken.listening.get_mut(&self.user) {
            entry.streams = entry.streams.saturating_sub(1);
            if entry.streams == 0 {
                taken.listening.remove(&self.user);
            }
        }
        drop(taken);
        self.streams.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_counted_by_user_and_in_all_and_given_back() {
        let (ada, eve) = (UserId::new(Uuid::from_u128(1)), UserId::new(Uuid::from_u128(2)));
        let streams = Streams::new(2, 3, Duration::from_millis(200));
        let of_ada = [streams.join(ada).await.unwrap(), streams.join(ada).await.unwrap()];
        assert_eq!(streams.join(ada).await.unwrap_err(), NoSeat::User);
        let of_eve = streams.join(eve).await.unwrap();
        assert_eq!(streams.join(eve).await.unwrap_err(), NoSeat::Process);
        let (more, ()) = tokio::join!(streams.join(eve), async { drop(of_ada) });
        let more = more.unwrap();
        drop((of_eve, more));
        let taken = streams.taken();
        assert!(taken.listening.is_empty() && taken.streams == 0);
    }
}
