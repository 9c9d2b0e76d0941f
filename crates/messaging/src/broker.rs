//! The broker as librdkafka sees it: client configuration, connection state, lag.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::statistics::Statistics;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::MessagingSettings;
use crate::client_view::ClientView;
use crate::kafka_log;
use crate::metrics::KernelMetrics;
use crate::supervision::{Client, Stall, Watchdog};

/// librdkafka reports the consumer's lag this often.
const STATISTICS_INTERVAL_MS: &str = "1000";

/// The broker is asked for a sign of life this long after its last one …
const ASK_EVERY: Duration = Duration::from_secs(1);
/// … and counts as down when it has not given one for so long; the answer is waited for all the same.
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// Whether the broker answers.
#[derive(Debug, Clone, Default)]
pub struct BrokerState(Arc<AtomicBool>);

impl BrokerState {
    /// Whether the broker gave the last sign of life that it was asked for.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn observe(&self, up: bool) {
        if self.0.swap(up, Ordering::Relaxed) != up {
            info!(broker.up = up, "broker connection changed");
        }
    }
}

/// Asks the broker for a sign of life through the relay's own producer: another client's connection says nothing about the
/// one that works, and one that has nothing to say does not connect again after an outage.
pub(crate) struct BrokerWatch {
    producer: SharedProducer,
    topic: String,
    /// The client waits for an answer for so long.
    patience: Duration,
    state: BrokerState,
    watchdog: Watchdog,
    metrics: KernelMetrics,
}

impl BrokerWatch {
    /// `topic` is one that the service publishes to.
    pub(crate) fn new(
        producer: SharedProducer,
        topic: String,
        state: BrokerState,
        settings: &MessagingSettings,
        metrics: KernelMetrics,
    ) -> Self {
        Self {
            producer,
            topic,
            patience: Duration::from_millis(settings.socket_timeout_ms),
            state,
            watchdog: Watchdog::new(Client::Producer, Duration::from_millis(settings.client_stall_ms)),
            metrics,
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let answer = tokio::select! {
                () = stop.cancelled() => return,
                answer = self.ask() => answer,
            };
            self.state.observe(answer.is_ok());
            if self.watchdog.is_due(Instant::now(), &answer, &self.metrics) {
                self.producer.ask_for_another();
            }
            let wait = if answer.is_ok() { ASK_EVERY } else { ASK_EVERY / 4 };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// One sign of life.
    async fn ask(&self) -> Result<(), Stall> {
        let (producer, topic, patience) = (self.producer.get(), self.topic.clone(), self.patience);
        let mut asked = tokio::task::spawn_blocking(move || {
            let metadata = producer.client().fetch_metadata(Some(&topic), patience);
            match metadata {
                Ok(metadata) if metadata.brokers().is_empty() => Err(Stall::NoBroker),
                Ok(_) => Ok(()),
                Err(error) => Err(Stall::NoAnswer(error.to_string())),
            }
        });
        let in_time = timeout(DOWN_AFTER, &mut asked).await;
        let answered = match in_time {
            Ok(answered) => answered,
            Err(_elapsed) => {
                self.state.observe(false);
                asked.await
            }
        };
        answered.unwrap_or_else(|died| Err(Stall::NoAnswer(died.to_string())))
    }
}

/// The relay's producer, and whoever asks the broker through it; clones share it. Only the relay puts another one in its
/// place, between two batches: of two records of a key, the first might be with the old one still.
#[derive(Clone)]
pub(crate) struct SharedProducer(Arc<Shared>);

struct Shared {
    producer: RwLock<FutureProducer<ProducerWatch>>,
    another: AtomicBool,
}

impl SharedProducer {
    pub(crate) fn new(producer: FutureProducer<ProducerWatch>) -> Self {
        Self(Arc::new(Shared {
            producer: RwLock::new(producer),
            another: AtomicBool::new(false),
        }))
    }

    pub(crate) fn get(&self) -> FutureProducer<ProducerWatch> {
        let producer = self.0.producer.read().unwrap_or_else(PoisonError::into_inner);
        producer.clone()
    }

    /// The producer that was there before.
    pub(crate) fn replace(&self, producer: FutureProducer<ProducerWatch>) -> FutureProducer<ProducerWatch> {
        self.0.another.store(false, Ordering::Relaxed);
        let mut current = self.0.producer.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, producer)
    }

    fn ask_for_another(&self) {
        self.0.another.store(true, Ordering::Relaxed);
    }

    /// Whether this one makes no progress.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.another.load(Ordering::Relaxed)
    }
}

pub(crate) fn producer_config(brokers: &str, settings: &MessagingSettings) -> ClientConfig {
    let mut config = connection(brokers, settings);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "2")
        .set("compression.type", "lz4")
        // never by itself: of two records of a key, it might give up the first and deliver the second
        .set("message.timeout.ms", "0")
        // a whole batch of the relay fits, so that producing it never waits for room
        .set(
            "queue.buffering.max.messages",
            settings.relay_batch_max.saturating_mul(2).max(1_000).to_string(),
        )
        // a topic that is not there is refused this soon; the relay tries it again for `refusal_retry_ms`
        .set("topic.metadata.propagation.max.ms", "1000")
        // as Java's clients do, and those of most other languages: a key has one place whoever writes it
        .set("partitioner", contracts::asyncapi::PARTITIONER)
        // a record above is refused before it is sent, and no batch is larger: the broker refuses batches whole
        .set("message.max.bytes", settings.record_max_bytes.to_string())
        .set("batch.size", settings.record_max_bytes.to_string());
    config
}

/// A client that asks about topics.
pub(crate) fn admin_config(brokers: &str, settings: &MessagingSettings) -> ClientConfig {
    connection(brokers, settings)
}

/// How long a rebalance waits for a member, also for one that a broker remembers and that is no more. A batch that takes
/// longer than its transaction may is given up, and the client is polled again.
pub(crate) fn rebalance_timeout(settings: &MessagingSettings) -> Duration {
    let transaction_ms = settings.transaction_timeout_ms.saturating_mul(3) / 2;
    Duration::from_millis(settings.session_timeout_ms.max(transaction_ms))
}

pub(crate) fn consumer_config(brokers: &str, group: &str, settings: &MessagingSettings) -> ClientConfig {
    let mut config = connection(brokers, settings);
    let session_ms = settings.session_timeout_ms;
    config
        .set("group.id", group)
        .set("statistics.interval.ms", STATISTICS_INTERVAL_MS)
        .set("enable.auto.commit", "false")
        // offsets are committed by name, after the database has committed, and in no other way
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session_ms.to_string())
        .set("heartbeat.interval.ms", (session_ms / 5).to_string())
        .set(
            "max.poll.interval.ms",
            rebalance_timeout(settings).as_millis().to_string(),
        )
        .set("fetch.wait.max.ms", "50")
        // a topic that is made after its listener has started is found this soon
        .set("topic.metadata.refresh.interval.ms", "10000")
        // bounds what a consumer that cannot keep up holds in memory
        .set("queued.max.messages.kbytes", "16384");
    config
}

/// A client that is told its partitions, joins no group and commits nothing, whatever its name.
pub(crate) fn broadcast_config(brokers: &str, name: &str, settings: &MessagingSettings) -> ClientConfig {
    let mut config = connection(brokers, settings);
    config
        .set("group.id", name)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "4096");
    config
}

fn connection(brokers: &str, settings: &MessagingSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("allow.auto.create.topics", "false")
        // a broker that has moved, or vanished without a word, is noticed by what it does not answer
        .set("socket.timeout.ms", settings.socket_timeout_ms.to_string())
        .set(
            "socket.connection.setup.timeout.ms",
            settings.connect_timeout_ms.to_string(),
        )
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "1000");
    config
}

/// Takes the producer's errors to the log.
pub(crate) struct ProducerWatch;

impl ClientContext for ProducerWatch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka_log::write(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(error = %error, reason, "kafka producer reports an error");
    }
}

/// Takes the errors of a reader of whole topics to the log. The end of a partition is no error: the reader asked to be told.
pub(crate) struct TailWatch;

impl ClientContext for TailWatch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka_log::write(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if !matches!(error, KafkaError::PartitionEOF(_)) {
            debug!(error = %error, reason, "kafka reader of a whole topic reports an error");
        }
    }
}

impl ConsumerContext for TailWatch {}

/// Watches the consumer's lag and assignments.
pub(crate) struct ConsumerWatch {
    metrics: KernelMetrics,
    view: Arc<ClientView>,
}

impl ConsumerWatch {
    pub(crate) fn new(metrics: KernelMetrics, view: Arc<ClientView>) -> Self {
        Self { metrics, view }
    }
}

impl ClientContext for ConsumerWatch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka_log::write(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        if !self.view.report(&statistics, Instant::now()) {
            return;
        }
        for (name, topic) in &statistics.topics {
            self.metrics.lag(name, self.view.assigned.lag(topic));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(error = %error, reason, "kafka consumer reports an error");
    }
}

impl ConsumerContext for ConsumerWatch {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if self.view.is_retired() {
            return;
        }
        match rebalance {
            Rebalance::Assign(list) => {
                info!(partitions = list.count(), "partitions assigned");
                self.view.assigned.add(list);
                // librdkafka remembers that a partition was paused when it was taken away
                if let Err(error) = consumer.resume(list) {
                    warn!(error = %error, "cannot resume");
                }
            }
            Rebalance::Revoke(list) => {
                info!(partitions = list.count(), "partitions revoked");
                self.view.assigned.remove(list);
                self.view.owed.revoked(list);
            }
            Rebalance::Error(error) => warn!(error = %error, "rebalance failed"),
        }
    }
}
