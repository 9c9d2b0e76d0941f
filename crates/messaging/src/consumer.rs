//! The consumer: collects records into batches, takes them through the inbox, commits offsets after the
//! database has committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::health::ConsumerState;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::Outage;
use crate::broker::{ConsumerWatch, rebalance_timeout};
use crate::client_view::ClientView;
use crate::commits::{Commits, Committer};
use crate::group_check::nobodys;
use crate::inbox::{Arrival, Inbox};
use crate::intake::Allowance;
use crate::isolate;
use crate::kernel::Core;
use crate::known_offsets::KnownOffsets;
use crate::offsets::positions;
use crate::record::Record;
use crate::retry::Backoff;
use crate::supervision::{Client, LOOK_EVERY, Stall, Watchdog};
use crate::topic_check::{Asked, TopicCheck};

/// How long a stop waits for the group to be left.
const LEAVE: Duration = Duration::from_secs(3);

type KafkaConsumer = StreamConsumer<ConsumerWatch>;

/// One group member.
pub(crate) struct GroupMember {
    core: Arc<Core>,
    config: ClientConfig,
    kafka: Arc<KafkaConsumer>,
    view: Arc<ClientView>,
    inbox: Inbox,
    watchdog: Watchdog,
    topics: TopicCheck,
    commits: Commits,
    look_at: Instant,
}

impl GroupMember {
    pub(crate) fn subscribe(core: Arc<Core>, config: ClientConfig) -> KafkaResult<Self> {
        let (kafka, view) = subscribed(&core, &config)?;
        let known = KnownOffsets::default();
        let bound = Duration::from_millis(core.settings.client_stall_ms);
        let rebalancing = rebalance_timeout(&core.settings) + bound;
        let watchdog = Watchdog::new(Client::Consumer, bound).rebalancing(rebalancing);
        let patience = Duration::from_millis(core.settings.socket_timeout_ms);
        Ok(Self {
            inbox: Inbox::new(core.clone()),
            topics: TopicCheck::new(
                core.service.clone(),
                core.topics.keys().cloned().collect(),
                known.clone(),
                patience,
            ),
            commits: Commits::new(known, patience),
            core,
            config,
            kafka,
            view,
            watchdog,
            look_at: Instant::now(),
        })
    }

    /// Runs until `stop`; the batch at hand is finished first.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut early = Vec::new();
        while let Some(records) = self.collect(std::mem::take(&mut early), &stop).await {
            chassis::crossing!("consumer.collected");
            let positions = positions(&records);
            let arrivals = self.inbox.sort_out(records);
            if !self.process(&arrivals, &mut early, &stop).await {
                break;
            }
            self.view.owed.processed(positions);
            self.look_after(None);
            chassis::crossing!("consumer.passed");
        }
        self.leave().await;
    }

    /// The next batch, `early` first; none when it is time to stop.
    async fn collect(&mut self, early: Vec<Record>, stop: &CancellationToken) -> Option<Vec<Record>> {
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

    /// The first record of a batch. While there is none, the client is looked after.
    async fn first(&mut self, stop: &CancellationToken) -> Option<Record> {
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                first = self.receive() => return Some(first),
                () = sleep_until(wake_at) => self.look_after(None),
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
                    self.view.troubled(error.to_string());
                    tokio::time::sleep(Duration::from_millis(self.core.settings.backoff_min_ms)).await;
                }
            }
        }
    }

    /// Takes a batch through, waiting out any outage and an open breaker. False when stopped before the batch was done.
    /// Records that come meanwhile go to `early`.
    async fn process(
        &mut self,
        arrivals: &[Arrival],
        early: &mut Vec<Record>,
        stop: &CancellationToken,
    ) -> bool {
        let started = Instant::now();
        let mut rest = arrivals;
        let mut backoff = Backoff::new(&self.core.settings);
        let mut held_up = false;
        while !rest.is_empty() {
            let (wait, why) = match self.take_in(&mut rest).await {
                Ok(wait) => (wait, "the breaker is open".to_owned()),
                Err(outage) => {
                    let wait = backoff.wait();
                    warn!(error = %outage, wait_ms = wait.as_millis(), "cannot process messages, waiting");
                    (wait, outage.to_string())
                }
            };
            if wait.is_zero() {
                continue;
            }
            held_up = true;
            self.core.metrics.consumer_paused(true);
            if self.wait_paused(wait, &why, early, stop).await.is_err() {
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
        &mut self,
        wait: Duration,
        why: &str,
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
            self.look_after(Some(why));
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(()),
                () = sleep_until(deadline) => return Ok(()),
                () = sleep_until(wake_at) => {}
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

    /// When there is something to be looked after.
    fn wake_at(&self) -> Instant {
        let commit = self.commits.due(&self.view.owed);
        commit.map_or(self.look_at, |commit| commit.min(self.look_at))
    }

    /// Commits what is processed. Once a second: says how it is, makes a client anew that makes no progress, and commits
    /// again what the group has not taken. `paused` says why nothing is taken in.
    fn look_after(&mut self, paused: Option<&str>) {
        let now = Instant::now();
        let committed = self.commits.drive(now, &self.kafka, &self.view.owed);
        if now < self.look_at && committed.is_ok() {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        self.view.owed.ask_again();
        let progress = match self.kafka.client().fatal_error() {
            Some((code, text)) => Err(Stall::Fatal(code, text)),
            None => committed
                .and_then(|()| self.topics.look(now, &self.kafka))
                .and_then(|()| self.view.progress(now, paused.is_some())),
        };
        self.say(paused, &progress);
        if self.watchdog.is_due(now, &progress, &self.core.metrics) {
            self.make_anew();
        }
    }

    fn say(&self, paused: Option<&str>, progress: &Result<(), Stall>) {
        let core = &self.core;
        let assigned = &self.view.assigned;
        let lag_unknown = || {
            core.topics
                .keys()
                .find(|topic| !assigned.of(topic).is_empty() && core.metrics.lag_of(topic).is_none())
        };
        let missing = || self.topics.missing();
        let (state, reason) = match (progress, paused) {
            (Ok(()), _) if let Some(topic) = missing() => {
                (ConsumerState::Waiting, format!("topic {topic} does not exist"))
            }
            (Err(stall), _) => (ConsumerState::Waiting, stall.to_string()),
            (Ok(()), Some(why)) => (ConsumerState::Paused, why.to_owned()),
            (Ok(()), None) if assigned.count() == 0 => (ConsumerState::Standby, String::new()),
            (Ok(()), None) => match lag_unknown() {
                Some(topic) => (
                    ConsumerState::LagUnknown,
                    format!("the lag on {topic} is not known"),
                ),
                None => (ConsumerState::Assigned, String::new()),
            },
        };
        core.consumer.set(state, assigned.count(), reason);
    }

    /// Joins the group again with a new client. What the old one had not committed comes again, and is recognised.
    fn make_anew(&mut self) {
        match subscribed(&self.core, &self.config) {
            Ok((kafka, view)) => {
                drop(close(std::mem::replace(&mut self.kafka, kafka)));
                self.view = view;
                let known = KnownOffsets::default();
                let patience = Duration::from_millis(self.core.settings.socket_timeout_ms);
                self.topics.go_on(known.clone());
                self.commits = Commits::new(known, patience);
            }
            Err(error) => warn!(%error, "no new kafka consumer can be made"),
        }
    }

    /// Leaves the group so that the others take over at once.
    async fn leave(self) {
        let Self {
            kafka, view, commits, ..
        } = self;
        let deadline = Instant::now() + LEAVE;
        let committed = timeout_at(deadline, commits.finish(&kafka, &view.owed)).await;
        let left = timeout_at(deadline, close(kafka)).await;
        if committed.is_err() || left.is_err() {
            warn!("the broker does not answer, the consumer group has to find out by itself");
        }
    }
}

/// A new member of the group, and its view, which is the one that counts from now on.
fn subscribed(core: &Core, config: &ClientConfig) -> KafkaResult<(Arc<KafkaConsumer>, Arc<ClientView>)> {
    let view = Arc::<ClientView>::default();
    let watch = ConsumerWatch::new(core.metrics.clone(), view.clone());
    let kafka: KafkaConsumer = config.create_with_context(watch)?;
    let topics: Vec<&str> = core.topics.keys().map(String::as_str).collect();
    kafka.subscribe(&topics)?;
    for topic in topics {
        core.metrics.lag(topic, None);
    }
    core.view.replace(view.clone());
    Ok((Arc::new(kafka), view))
}

impl Asked for KafkaConsumer {
    fn topic(&self, topic: &str, patience: Duration) -> KafkaResult<(Option<RDKafkaRespErr>, usize)> {
        let metadata = self.fetch_metadata(Some(topic), patience)?;
        let topic = metadata.topics().first();
        let partitions = topic.map_or(0, |topic| topic.partitions().len());
        Ok((topic.and_then(MetadataTopic::error), partitions))
    }

    fn all_committed(&self, patience: Duration) -> KafkaResult<TopicPartitionList> {
        match self.assignment()? {
            none if none.count() == 0 => Ok(none),
            assigned => self.committed_offsets(assigned, patience),
        }
    }

    fn nobodys(
        &self,
        group: &str,
        topics: &BTreeMap<String, usize>,
        patience: Duration,
    ) -> KafkaResult<Option<String>> {
        let told = self.fetch_group_list(Some(group), patience)?;
        Ok(told.groups().first().and_then(|group| nobodys(group, topics)))
    }
}

impl Committer for KafkaConsumer {
    fn partitions(&self) -> KafkaResult<TopicPartitionList> {
        self.assignment()
    }

    fn committed(&self, list: TopicPartitionList, patience: Duration) -> KafkaResult<TopicPartitionList> {
        self.committed_offsets(list, patience)
    }

    fn commit(&self, list: &TopicPartitionList) -> KafkaResult<()> {
        Consumer::commit(self, list, CommitMode::Async)
    }
}

/// Closes a client, and says when that is done. Closing blocks, and without a broker it does so for as long as a commit is
/// under way: it has a thread that no runtime waits for.
fn close(kafka: Arc<KafkaConsumer>) -> tokio::sync::oneshot::Receiver<()> {
    let (closed, done) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        drop(kafka);
        drop(closed);
    });
    done
}
