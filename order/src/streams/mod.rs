//! Those who follow an order's life. What they are shown is read out of the database, by one query for all of this
//! process's streams, so that it makes no difference which replica the change went through.

mod body;
mod registry;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::Pool;
use contracts::UserId;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::StreamSettings;
use crate::store::facts::{self, StoredFact};

pub(crate) use body::{Ending, body, is_told};
use registry::Registry;

/// How long after a failed look the next one comes.
const PAUSE: Duration = Duration::from_secs(1);

/// All streams of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    settings: StreamSettings,
    registry: Mutex<Registry>,
    opened: Notify,
    /// A seat has become free.
    freed: Notify,
    draining: CancellationToken,
}

/// Why there is no stream for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// The user has as many as one may have.
    User,
    /// The process has.
    Process,
}

/// The right to one stream; given back when dropped.
pub(crate) struct Seat {
    streams: Streams,
    user: UserId,
}

/// What comes in for one stream, until it is dropped.
pub(crate) struct Following {
    streams: Streams,
    id: u64,
    facts: mpsc::Receiver<Vec<StoredFact>>,
}

impl Streams {
    pub(crate) fn new(settings: StreamSettings, draining: CancellationToken) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                registry: Mutex::default(),
                opened: Notify::new(),
                freed: Notify::new(),
                draining,
            }),
        }
    }

    pub(crate) fn settings(&self) -> &StreamSettings {
        &self.shared.settings
    }

    /// Takes a seat for `user`, as soon as there is one.
    ///
    /// # Errors
    /// Why there is none when the wait for one is over.
    pub(crate) async fn seat(&self, user: UserId) -> Result<Seat, NoSeat> {
        let give_up = Instant::now() + self.shared.settings.seat_wait();
        loop {
            // before it is looked: what becomes free in between counts
            let freed = self.shared.freed.notified();
            match self.take_seat(user) {
                Err(_) if timeout_at(give_up, freed).await.is_ok() => {}
                taken => return taken,
            }
        }
    }

    fn take_seat(&self, user: UserId) -> Result<Seat, NoSeat> {
        let limits = &self.shared.settings;
        self.registry()
            .take_seat(user, limits.per_user, limits.per_process)?;
        Ok(Seat {
            streams: self.clone(),
            user,
        })
    }

    /// Follows an order from the fact after the one numbered `after`.
    pub(crate) fn follow(&self, order_id: Uuid, after: i64) -> Following {
        // one batch at a time: what a slow reader has not taken stays in the database
        let (sender, facts) = mpsc::channel(1);
        let id = self.registry().follow(order_id, after, sender);
        self.shared.opened.notify_one();
        Following {
            streams: self.clone(),
            id,
            facts,
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        let registry = &self.shared.registry;
        registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for new facts as long as anybody follows an order, until told to stop.
    pub(crate) async fn run(self, pool: Pool, stopping: CancellationToken) {
        loop {
            let followed = self.registry().followed();
            let wait = if followed.is_empty() {
                None
            } else {
                Some(self.look(&pool, &followed).await)
            };
            let next = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => self.shared.opened.notified().await,
                }
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                () = next => {}
            }
        }
    }

    /// Hands out what is new, and says how long to wait until the next time.
    async fn look(&self, pool: &Pool, followed: &[(Uuid, i64)]) -> Duration {
        match read(pool, followed).await {
            Ok(found) => {
                let mut by_order: HashMap<Uuid, Vec<StoredFact>> = HashMap::new();
                for fact in found {
                    by_order.entry(fact.order_id).or_default().push(fact);
                }
                self.registry().hand_out(&by_order);
                self.shared.settings.poll()
            }
            Err(error) => {
                tracing::warn!(
                    error.message = format!("{error:#}"),
                    "followed orders not looked at"
                );
                self.shared.settings.poll().max(PAUSE)
            }
        }
    }
}

async fn read(pool: &Pool, followed: &[(Uuid, i64)]) -> anyhow::Result<Vec<StoredFact>> {
    let mut conn = pool.get().await?;
    Ok(facts::of_all(&mut conn, followed).await?)
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.streams.registry().give_back_seat(self.user);
        self.streams.shared.freed.notify_waiters();
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.streams.registry().leave(self.id);
    }
}
