//! The relay: moves outbox rows to Kafka. One replica has the lead at a time, by an advisory lock on the very
//! connection it reads and deletes with: losing the connection is losing the lead.

mod answer;
mod flight;
mod holds;
mod limits;
mod low_water;
mod publish;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(crate) use self::limits::TopicLimits;
pub(crate) use self::publish::Publisher;
use self::session::Session;
use crate::Outage;
use crate::kernel::Core;
use crate::retry::Backoff;

/// How often the low-water mark is given a new sample.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Relay {
    core: Arc<Core>,
    publisher: Publisher,
}

impl Relay {
    pub(crate) fn new(core: Arc<Core>, publisher: Publisher) -> Self {
        Self { core, publisher }
    }

    /// Runs until `stop`: waits for the lead, then publishes.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(&self.core.settings);
        while !stop.is_cancelled() {
            let wait = match self.try_lead(&stop, &mut backoff).await {
                Ok(()) => Duration::from_millis(self.core.settings.relay_lead_ms),
                Err(outage) => {
                    let wait = backoff.wait();
                    warn!(error = %outage, wait_ms = wait.as_millis(), "relay interrupted, waiting");
                    wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
        self.publisher.close();
    }

    /// Publishes for as long as it has the lead; returns at once when another has it.
    async fn try_lead(&mut self, stop: &CancellationToken, backoff: &mut Backoff) -> Result<(), Outage> {
        self.publisher.renew_if_spent()?;
        let Some(mut session) = Session::lead(&self.core).await? else {
            debug!("another replica relays");
            return Ok(());
        };
        info!("relaying the outbox");
        self.core.metrics.leads(true);
        let ended = self.publish_all(&mut session, stop, backoff).await;
        self.core.metrics.leads(false);
        if ended.is_err() && !stop.is_cancelled() {
            // what is still on its way belongs to the next leader
            self.publisher.renew()?;
        }
        ended
    }

    async fn publish_all(
        &mut self,
        session: &mut Session,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<(), Outage> {
        let core = self.core.clone();
        let settings = &core.settings;
        let (quickest, slowest) = (
            Duration::from_millis(settings.relay_poll_min_ms),
            Duration::from_millis(settings.relay_poll_max_ms),
        );
        let mut poll = quickest;
        let mut sampled = None::<Instant>;
        while !stop.is_cancelled() {
            if sampled.is_none_or(|at| at.elapsed() >= SAMPLE_EVERY) {
                bounded(&core, session.sample()).await?;
                sampled = Some(Instant::now());
            }
            self.publisher.renew_if_spent()?;
            self.publisher.look_again().await;
            let waiting = self.publisher.waiting();
            let rows = bounded(&core, session.scan(settings.relay_batch_max, &waiting)).await?;
            if rows.is_empty() && self.publisher.is_idle() {
                wait(&core, &mut poll, slowest, stop).await;
                continue;
            }
            let found = rows.len();
            let published = tokio::select! {
                published = self.publisher.publish(rows, stop) => published,
                outage = session.lost() => return Err(outage),
            };
            bounded(&core, session.finish(&core, &published)).await?;
            if stop.is_cancelled() {
                break;
            }
            if let Some(error) = published.trouble {
                return Err(Outage::Kafka(error));
            }
            backoff.reset();
            poll = quickest;
            debug!(found, "outbox rows published");
        }
        Ok(())
    }
}

/// A database that has vanished without a word ends the lead as well.
async fn bounded<T>(core: &Core, work: impl Future<Output = Result<T, Outage>>) -> Result<T, Outage> {
    let patience = core.patience();
    match timeout(patience, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Outage::Stalled(patience)),
    }
}

/// Woken by a commit of this process; others' commits are found by polling, less often the longer
/// nothing happens.
async fn wait(core: &Core, poll: &mut Duration, slowest: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = core.signals.outbox_added() => {}
        () = sleep(*poll) => {}
    }
    *poll = poll.saturating_mul(2).min(slowest);
}
