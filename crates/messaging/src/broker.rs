//! The broker as librdkafka sees it: client configuration, connection state, lag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::Topic;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::statistics::Statistics;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::MessagingSettings;
use crate::assigned::Assigned;
use crate::metrics::KernelMetrics;
use crate::offsets::Owed;

/// librdkafka reports the consumer's lag this often.
const STATISTICS_INTERVAL_MS: &str = "1000";

/// The broker is asked for a sign of life this often …
const ASK_EVERY: Duration = Duration::from_secs(1);
/// … and has this long to give it.
const ASK_PATIENCE: Duration = Duration::from_secs(1);

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

/// Asks the broker for a sign of life. The state of the other clients' connections will not do: one that has nothing
/// to say does not connect again after an outage.
pub(crate) struct BrokerWatch {
    client: Arc<BaseProducer>,
    state: BrokerState,
}

impl BrokerWatch {
    pub(crate) fn new(brokers: &str, state: BrokerState) -> KafkaResult<Self> {
        let client = connection(brokers).create()?;
        Ok(Self {
            client: Arc::new(client),
            state,
        })
    }

    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(ASK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let client = self.client.clone();
            let asked = tokio::task::spawn_blocking(move || {
                let topic = Topic::OrderCreated.name();
                client.client().fetch_metadata(Some(topic), ASK_PATIENCE).is_ok()
            });
            self.state.observe(asked.await.unwrap_or(false));
        }
    }
}

pub(crate) fn producer_config(brokers: &str, settings: &MessagingSettings) -> ClientConfig {
    let mut config = connection(brokers);
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
pub(crate) fn admin_config(brokers: &str) -> ClientConfig {
    connection(brokers)
}

pub(crate) fn consumer_config(brokers: &str, group: &str, settings: &MessagingSettings) -> ClientConfig {
    let mut config = connection(brokers);
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
        .set("max.poll.interval.ms", "300000")
        .set("fetch.wait.max.ms", "50")
        // a topic that is made after its listener has started is found this soon
        .set("topic.metadata.refresh.interval.ms", "10000")
        // bounds what a consumer that cannot keep up holds in memory
        .set("queued.max.messages.kbytes", "16384");
    config
}

/// A client that is told its partitions, joins no group and commits nothing, whatever its name.
pub(crate) fn broadcast_config(brokers: &str, name: &str) -> ClientConfig {
    let mut config = connection(brokers);
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

fn connection(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", "1000");
    config
}

/// Takes the producer's errors to the log.
pub(crate) struct ProducerWatch;

impl ClientContext for ProducerWatch {
    fn error(&self, error: KafkaError, reason: &str) {
        debug!(error = %error, reason, "kafka producer reports an error");
    }
}

/// Watches the consumer's lag and assignments.
pub(crate) struct ConsumerWatch {
    metrics: KernelMetrics,
    assigned: Assigned,
    owed: Owed,
}

impl ConsumerWatch {
    pub(crate) fn new(metrics: KernelMetrics, assigned: Assigned, owed: Owed) -> Self {
        Self {
            metrics,
            assigned,
            owed,
        }
    }
}

impl ClientContext for ConsumerWatch {
    fn stats(&self, statistics: Statistics) {
        for (name, topic) in &statistics.topics {
            self.metrics.lag(name, self.assigned.lag(topic));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(error = %error, reason, "kafka consumer reports an error");
    }
}

impl ConsumerContext for ConsumerWatch {
    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.owed.committed(offsets),
            Err(error) => debug!(error = %error, "offsets not committed"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                info!(partitions = list.count(), "partitions assigned");
                self.assigned.add(list);
                // librdkafka remembers that a partition was paused when it was taken away
                if let Err(error) = consumer.resume(list) {
                    warn!(error = %error, "cannot resume");
                }
            }
            Rebalance::Revoke(list) => {
                info!(partitions = list.count(), "partitions revoked");
                self.assigned.remove(list);
                self.owed.revoked(list);
            }
            Rebalance::Error(error) => warn!(error = %error, "rebalance failed"),
        }
    }
}
