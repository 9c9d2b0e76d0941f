//! The consumer: collects records into batches, takes them through the inbox, commits offsets after the
//! database has committed.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::Outage;
use crate::broker::ConsumerWatch;
use crate::inbox::{Arrival, Inbox};
use crate::intake::Allowance;
use crate::isolate;
use crate::kernel::Core;
use crate::offsets::{Owed, positions};
use crate::record::Record;
use crate::retry::Backoff;

/// How long a stop waits for the group to be left.
const LEAVE: Duration = Duration::from_secs(3);

/// Offsets that are not known to be committed are, again, after so long.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

type KafkaConsumer = StreamConsumer<ConsumerWatch>;

/// One group member.
pub(crate) struct GroupMember {
    core: Arc<Core>,
    kafka: KafkaConsumer,
    inbox: Inbox,
    owed: Owed,
}

impl GroupMember {
    pub(crate) fn subscribe(core: Arc<Core>, config: &ClientConfig) -> KafkaResult<Self> {
        let owed = Owed::default();
        let watch = ConsumerWatch::new(core.metrics.clone(), core.assigned.clone(), owed.clone());
        let kafka: KafkaConsumer = config.create_with_context(watch)?;
        let topics: Vec<&str> = core.topics.keys().map(String::as_str).collect();
        kafka.subscribe(&topics)?;
        Ok(Self {
            inbox: Inbox::new(core.clone()),
            core,
            kafka,
            owed,
        })
    }

    /// Runs until `stop`; the batch at hand is finished first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut early = Vec::new();
        while let Some(records) = self.collect(std::mem::take(&mut early), &stop).await {
            chassis::crossing!("consumer.collected");
            let positions = positions(&records);
            let arrivals = self.inbox.sort_out(records);
            if !self.process(&arrivals, &mut early, &stop).await {
                break;
            }
            self.owed.processed(positions);
            self.commit();
            chassis::crossing!("consumer.passed");
        }
        self.leave().await;
    }

    /// The next batch, `early` first; none when it is time to stop.
    async fn collect(&self, early: Vec<Record>, stop: &CancellationToken) -> Option<Vec<Record>> {
        let mut batch = early;
        if batch.is_empty() {
            batch.push(self.first(stop).await?);
        } else if stop.is_cancelled() {
            return None;
        }
        let deadline = Instant::now() + Duration::from_millis(self.core.settings.batch_linger_ms);
        while batch.len() < self.core.settings.batch_max {
            match timeout_at(deadline, self.receive()).await {
                Ok(record) => batch.push(record),
                Err(_elapsed) => break,
            }
        }
        Some(batch)
    }

    /// The first record of a batch. While there is none, offsets that were not taken are committed again.
    async fn first(&self, stop: &CancellationToken) -> Option<Record> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                first = self.receive() => return Some(first),
                () = tokio::time::sleep(COMMIT_AGAIN), if !self.owed.is_empty() => self.commit(),
            }
        }
    }

    /// The next record. Errors of the client are the broker's absence, mostly; librdkafka reconnects by itself.
    async fn receive(&self) -> Record {
        loop {
            match self.kafka.recv().await {
                Ok(message) => return Record::from_kafka(&message),
                Err(error) => {
                    debug!(error = %error, "kafka consumer reports an error");
                    tokio::time::sleep(Duration::from_millis(self.core.settings.backoff_min_ms)).await;
                }
            }
        }
    }

    /// Takes a batch through, waiting out any outage and an open breaker. False when stopped before the batch was done.
    /// Records that come meanwhile go to `early`.
    async fn process(&self, arrivals: &[Arrival], early: &mut Vec<Record>, stop: &CancellationToken) -> bool {
        let started = Instant::now();
        let mut rest = arrivals;
        let mut backoff = Backoff::new(&self.core.settings);
        let mut held_up = false;
        while !rest.is_empty() {
            let wait = match self.take_in(&mut rest).await {
                Ok(wait) => wait,
                Err(outage) => {
                    let wait = backoff.wait();
                    warn!(error = %outage, wait_ms = wait.as_millis(), "cannot process messages, waiting");
                    wait
                }
            };
            if wait.is_zero() {
                continue;
            }
            held_up = true;
            self.core.metrics.consumer_paused(true);
            if self.wait_paused(wait, early, stop).await.is_err() {
                return false;
            }
        }
        if held_up {
            self.resume();
        }
        self.core.metrics.processed(arrivals.len(), started.elapsed());
        true
    }

    /// Takes in what the breaker allows of `rest`, and leaves what is not done. Answers how long to wait before more.
    async fn take_in(&self, rest: &mut &[Arrival]) -> Result<Duration, Outage> {
        let now = Instant::now().into_std();
        let allowed = match self.core.intake.allowance(now) {
            Allowance::All => rest.len(),
            Allowance::Probe => 1,
            Allowance::Not(at) => return Ok(at.saturating_duration_since(now)),
        };
        let (part, later) = rest.split_at_checked(allowed).unwrap_or((rest, &[]));
        match isolate::run(&self.inbox, part).await {
            Ok(()) => {
                *rest = later;
                Ok(Duration::ZERO)
            }
            Err((done, outage)) => {
                *rest = rest.get(done..).unwrap_or_default();
                Err(outage)
            }
        }
    }

    /// Waits without leaving the group: partitions are paused and the client is polled all the while.
    async fn wait_paused(
        &self,
        wait: Duration,
        early: &mut Vec<Record>,
        stop: &CancellationToken,
    ) -> Result<(), ()> {
        let deadline = Instant::now() + wait;
        loop {
            if let Err(error) = self
                .kafka
                .assignment()
                .and_then(|assigned| self.kafka.pause(&assigned))
            {
                debug!(error = %error, "cannot pause");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(()),
                () = tokio::time::sleep_until(deadline) => return Ok(()),
                // of a partition that was assigned meanwhile and is not paused yet
                record = self.receive() => early.push(record),
            }
        }
    }

    fn resume(&self) {
        info!("processing messages again");
        self.core.metrics.consumer_paused(false);
        if let Err(error) = self
            .kafka
            .assignment()
            .and_then(|assigned| self.kafka.resume(&assigned))
        {
            warn!(error = %error, "cannot resume");
        }
    }

    /// Commits what is processed and not known to be committed. Until it is, it may be redelivered, which is recognised.
    fn commit(&self) {
        let committed = self
            .kafka
            .assignment()
            .and_then(|assigned| self.owed.of(&assigned))
            .and_then(|list| match list.count() {
                0 => Ok(()),
                _ => self.kafka.commit(&list, CommitMode::Async),
            });
        if let Err(error) = committed {
            debug!(error = %error, "offsets not committed");
        }
    }

    /// Leaves the group so that the others take over at once. Closing blocks, and without a broker it does so for as
    /// long as a commit is under way: it is not waited for then, and has a thread that no runtime waits for either.
    async fn leave(self) {
        let (closed, done) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            drop(self);
            drop(closed);
        });
        if timeout(LEAVE, done).await.is_err() {
            warn!("the broker does not answer, the consumer group has to find out by itself");
        }
    }
}
