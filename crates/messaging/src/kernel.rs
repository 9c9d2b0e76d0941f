//! Putting the kernel together and running its loops.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use contracts::topics::dead_letter_topic;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use rdkafka::error::KafkaError;
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::broker::{BrokerState, BrokerWatch, consumer_config};
use crate::client_view::CurrentView;
use crate::consumer::GroupMember;
use crate::dispatcher::{ActionLoop, MessageLoop};
use crate::held_back::DeadlineHold;
use crate::horizon::Horizon;
use crate::intake::Intake;
use crate::metrics::KernelMetrics;
use crate::operations::Operations;
use crate::participant::Participant;
use crate::read_fence::ReadFence;
use crate::relay::{Publisher, Relay, TopicLimits};
use crate::repository::Repository;
use crate::standing::{ConsumerStanding, OutboxAge, milliseconds};
use crate::steps::Steps;
use crate::{MessagingSettings, Outage};
use chassis::health::{ConsumerHealth, MessagingHealth, PartStatus, RelayHealth};
use chassis::{Connection, Pool, Probe, Tasks};

/// Wakes loops of this process at once, instead of at their next poll.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<Notifies>);

#[derive(Debug, Default)]
struct Notifies {
    outbox: Notify,
    actions: Notify,
}

impl Signals {
    /// To be called after a commit that wrote outbox rows or actions.
    pub fn committed(&self) {
        chassis::crossing!("command.committed");
        self.woke(true, true);
    }

    pub(crate) fn woke(&self, outbox: bool, actions: bool) {
        if outbox {
            self.0.outbox.notify_one();
        }
        if actions {
            self.0.actions.notify_one();
        }
    }

    pub(crate) async fn outbox_added(&self) {
        self.0.outbox.notified().await;
    }

    pub(crate) async fn action_added(&self) {
        self.0.actions.notified().await;
    }
}

/// What all loops share.
pub(crate) struct Core {
    pub(crate) service: String,
    pub(crate) settings: MessagingSettings,
    pub(crate) metrics: KernelMetrics,
    pub(crate) signals: Signals,
    pub(crate) participants: Vec<Box<dyn Steps>>,
    /// The participant that listens to a topic.
    pub(crate) topics: HashMap<String, usize>,
    pub(crate) view: CurrentView,
    pub(crate) consumer: ConsumerStanding,
    pub(crate) outbox_age: OutboxAge,
    pub(crate) deadlines: DeadlineHold,
    pub(crate) intake: Intake,
    pool: Pool,
}

impl Core {
    pub(crate) async fn connection(&self) -> Result<Connection, Outage> {
        self.pool
            .get()
            .await
            .map_err(|error| Outage::Pool(Box::new(error)))
    }

    /// How long one transaction may take.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.settings.transaction_timeout_ms)
    }

    /// Gives up a transaction that takes too long. Its connection may still be busy with it, so it is not used again.
    pub(crate) fn give_up(&self, conn: Connection) -> Outage {
        drop(conn.take());
        Outage::Stalled(self.patience())
    }

    /// A topic that nobody listens to any more (a message parked by an older version) goes to the first
    /// participant, which fails it with the reason.
    pub(crate) fn listener_of(&self, topic: &str) -> usize {
        self.topics.get(topic).copied().unwrap_or_default()
    }

    /// How long what was tried while something was down is left alone.
    pub(crate) fn later(&self) -> TimeDelta {
        TimeDelta::milliseconds(i64::try_from(self.settings.backoff_max_ms).unwrap_or(i64::MAX))
    }

    pub(crate) fn lease(&self) -> TimeDelta {
        TimeDelta::milliseconds(i64::try_from(self.settings.action_lease_ms).unwrap_or(i64::MAX))
    }
}

/// Why a kernel cannot be put together.
#[derive(Debug, Error)]
pub enum BuildError {
    /// One listener a topic and service: the second would never be called.
    #[error("{0} has two listeners")]
    TopicTaken(String),
    /// The dispatcher knows one performer.
    #[error("two participants perform actions")]
    TwoPerformers,
    /// librdkafka refuses its configuration.
    #[error("kafka client: {0}")]
    Kafka(#[from] KafkaError),
}

/// Collects what a kernel is made of.
pub struct KernelBuilder {
    service: String,
    brokers: String,
    pool: Pool,
    settings: MessagingSettings,
    metrics: KernelMetrics,
    participants: Vec<Box<dyn Steps>>,
}

impl KernelBuilder {
    /// Adds a participant.
    #[must_use]
    pub fn participant<R: Repository>(mut self, participant: Participant<R>) -> Self {
        self.participants.push(Box::new(participant));
        self
    }

    /// Counts into `metrics`.
    #[must_use]
    pub fn metrics(mut self, metrics: KernelMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Connects the parts; nothing runs yet.
    ///
    /// # Errors
    /// [`BuildError`] when participants contradict each other or a Kafka client cannot be made.
    pub fn build(self) -> Result<Kernel, BuildError> {
        let mut topics = HashMap::new();
        for (index, participant) in self.participants.iter().enumerate() {
            for topic in participant.topics() {
                match topics.entry(topic.name().to_owned()) {
                    Entry::Occupied(taken) => return Err(BuildError::TopicTaken(taken.key().clone())),
                    Entry::Vacant(free) => drop(free.insert(index)),
                }
            }
        }
        if self
            .participants
            .iter()
            .filter(|participant| participant.performs())
            .count()
            > 1
        {
            return Err(BuildError::TwoPerformers);
        }
        let performs = self.participants.iter().any(|participant| participant.performs());
        self.metrics
            .begin(&self.service, topics.keys().map(String::as_str), performs);
        let broker = BrokerState::default();
        let publisher = Publisher::new(&self.brokers, &self.settings)?;
        let watch = BrokerWatch::new(
            publisher.producer(),
            dead_letter_topic(&self.service),
            broker.clone(),
            &self.settings,
            self.metrics.clone(),
        );
        let core = Core {
            intake: Intake::new(&self.settings, self.metrics.clone()),
            service: self.service,
            settings: self.settings,
            metrics: self.metrics,
            signals: Signals::default(),
            participants: self.participants,
            topics,
            view: CurrentView::default(),
            consumer: ConsumerStanding::default(),
            outbox_age: OutboxAge::default(),
            deadlines: DeadlineHold::default(),
            pool: self.pool,
        };
        Ok(Kernel {
            core: Arc::new(core),
            brokers: self.brokers,
            publisher,
            broker,
            watch,
        })
    }
}

/// The kernel of one service, ready to run.
pub struct Kernel {
    core: Arc<Core>,
    brokers: String,
    publisher: Publisher,
    broker: BrokerState,
    watch: BrokerWatch,
}

impl Kernel {
    /// A kernel for `service`, which is also its consumer group and the source of its events. `pool` should not be the one
    /// of requests: a crowd of those would hold up messages.
    #[must_use]
    pub fn builder(service: &str, brokers: &str, pool: Pool, settings: MessagingSettings) -> KernelBuilder {
        KernelBuilder {
            service: service.to_owned(),
            brokers: brokers.to_owned(),
            pool,
            settings,
            metrics: KernelMetrics::default(),
            participants: Vec::new(),
        }
    }

    /// Wakes the loops after a commit made elsewhere (an HTTP command).
    #[must_use]
    pub fn signals(&self) -> Signals {
        self.core.signals.clone()
    }

    /// Whether Kafka answers.
    #[must_use]
    pub fn broker(&self) -> BrokerState {
        self.broker.clone()
    }

    /// What operators see and do about dead letters.
    #[must_use]
    pub fn operations(&self) -> Operations {
        Operations {
            core: self.core.clone(),
            broker: self.broker.clone(),
        }
    }

    /// What the service's timer holds back, as its status and metrics show it.
    #[must_use]
    pub fn deadline_hold(&self) -> DeadlineHold {
        self.core.deadlines.clone()
    }

    /// Tells a timer whether the consumer group has processed everything that was on its topics. One question to Kafka
    /// takes no longer than `timeout`; after an outage nothing is told before Kafka has answered for `settle`.
    #[must_use]
    pub fn read_fence(&self, timeout: Duration, settle: Duration) -> ReadFence {
        let (core, topics) = (&self.core, self.core.topics.keys().cloned());
        ReadFence::new(
            &self.brokers,
            &core.service,
            topics,
            timeout,
            settle,
            &core.settings,
        )
    }

    /// What `/health` asks about Kafka.
    #[must_use]
    pub fn probe(&self) -> Probe {
        let (core, broker) = (self.core.clone(), self.broker());
        Probe::messaging(move || MessagingHealth {
            broker: if broker.is_up() {
                PartStatus::Ok
            } else {
                PartStatus::Down
            },
            consumer: core.consumer_health(),
            relay: core.relay_health(),
        })
    }

    /// Starts the kernel's loops. They end when the process stops, with what they hold finished.
    ///
    /// # Errors
    /// [`BuildError::Kafka`] when the consumer cannot be made.
    pub fn start(self, tasks: &Tasks) -> Result<(), BuildError> {
        let core = self.core;
        if !core.topics.is_empty() {
            let config = consumer_config(&self.brokers, &core.service, &core.settings);
            let consumer = GroupMember::subscribe(core.clone(), config)?;
            let partitions = core.clone();
            tasks.spawn("consumer", |stop| async move {
                partitions.await_partitions(&stop).await;
                consumer.run(stop).await;
            });
        }
        tasks.spawn("broker", |stop| self.watch.run(stop));
        let limits = TopicLimits::new(core.clone(), self.brokers);
        tasks.spawn("topic limits", |stop| limits.run(stop));
        let relay = Relay::new(core.clone(), self.publisher);
        tasks.spawn("relay", |stop| relay.run(stop));
        let messages = MessageLoop::new(core.clone());
        tasks.spawn("retries", |stop| messages.run(stop));
        if let Some(actions) = ActionLoop::new(core.clone()) {
            tasks.spawn("actions", |stop| actions.run(stop));
        }
        let jobs = core.clone();
        tasks.spawn("replays", |stop| async move { jobs.replay_jobs(stop).await });
        let obsolete = core.clone();
        tasks.spawn("obsolete letters", |stop| async move {
            obsolete.settle_obsolete(stop).await;
        });
        let retention = core.clone();
        tasks.spawn(
            "retention",
            |stop| async move { retention.keep_retention(stop).await },
        );
        tasks.spawn("housekeeping", |stop| async move { core.housekeep(stop).await });
        Ok(())
    }
}

impl Core {
    /// How the consumer is; none where nothing is consumed.
    pub(crate) fn consumer_health(&self) -> Option<ConsumerHealth> {
        let grace = milliseconds(Duration::from_millis(self.settings.health_grace_ms));
        (!self.topics.is_empty()).then(|| self.consumer.health(grace))
    }

    pub(crate) fn relay_health(&self) -> RelayHealth {
        self.outbox_age.health(&self.settings, self.metrics.is_leading())
    }

    /// Gauges.
    async fn housekeep(&self, stop: CancellationToken) {
        let mut gauges = tokio::time::interval(Duration::from_millis(self.settings.gauge_interval_ms.max(1)));
        let mut horizon = Horizon::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = gauges.tick() => {
                    if let Err(outage) = self.read_gauges(&mut horizon).await {
                        debug!(error = %outage, "gauges are not read");
                    }
                }
            }
        }
    }

    async fn read_gauges(&self, horizon: &mut Horizon) -> Result<(), Outage> {
        #[derive(QueryableByName)]
        struct Backlog {
            #[diesel(sql_type = BigInt)]
            outbox: i64,
            #[diesel(sql_type = BigInt)]
            age: i64,
            #[diesel(sql_type = BigInt)]
            pending: i64,
            #[diesel(sql_type = BigInt)]
            dead: i64,
        }
        let mut conn = self.connection().await?;
        let backlog: Backlog = diesel::sql_query(
            "select outbox, age, pending, dead
             from (select count(*) as outbox,
                          coalesce(extract(epoch from now() - min(created_at)), 0)::bigint as age
                   from outbox) waiting,
                  (select count(*) as pending from work where state = 'pending') owed,
                  (select count(*) as dead from dead_letter where state = 'open') given_up",
        )
        .get_result(&mut conn)
        .await?;
        self.outbox_age.read(backlog.age);
        self.metrics
            .backlog(backlog.outbox, backlog.age, backlog.pending, backlog.dead);
        self.metrics.oldest_transaction(horizon.look(&mut conn).await?);
        Ok(())
    }
}
