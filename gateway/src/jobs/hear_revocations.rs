//! Hears of logins that end straight from the topic.
//!
//! What the kernel writes into the database comes in turn with everything else that is announced, behind whatever has piled
//! up, and only while the database is there. A logout waits for neither: each instance reads `session.revoked` itself, from
//! as far back as a token can live, to its end before the first request is let in, and then on. The rows in the database are
//! what there is to go by when the topic cannot be read, and the kernel's dead letters keep what nobody could.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chassis::clock;
use chrono::TimeDelta;
use contracts::Topic;
use contracts::events::SessionRevoked;
use messaging::{Message, Record};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::domain::revocation::Revocation;
use crate::edge::Revocations;
use crate::metrics::{GatewayMetrics, Source};

/// How long the broker has for an answer about the topic …
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// … and how long after none, or another error, it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// One instance's own reader of the topic.
pub(crate) struct Hearing {
    consumer: Arc<StreamConsumer>,
    known: Revocations,
    metrics: GatewayMetrics,
}

impl Hearing {
    /// A reader that has read nothing yet.
    ///
    /// # Errors
    /// When librdkafka refuses its configuration.
    pub(crate) fn new(brokers: &str, known: Revocations, metrics: GatewayMetrics) -> anyhow::Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("allow.auto.create.topics", "false")
            .set("reconnect.backoff.max.ms", "1000")
            // a name that the client wants to have; no group is joined, and no offset committed: each instance reads all
            .set("group.id", "gateway-revocations")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "4096")
            .create()?;
        metrics.revocations_unread(Source::Topic, true);
        Ok(Self {
            consumer: Arc::new(consumer),
            known,
            metrics,
        })
    }

    /// Runs until the process stops. Tells once all has been read that was there at the start.
    pub(crate) async fn run(self, read: oneshot::Sender<()>, stopping: CancellationToken) {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.listen(read) => {}
        }
        // closing may wait for the broker, and nobody shall wait for that
        std::thread::spawn(move || drop(self));
    }

    async fn listen(&self, read: oneshot::Sender<()>) {
        let mut unread = loop {
            match self.begin().await {
                Ok(partitions) => break partitions,
                Err(error) => {
                    tracing::warn!(
                        error.message = format!("{error:#}"),
                        "session.revoked cannot be read yet"
                    );
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        };
        let mut read = Some(read);
        loop {
            match self.consumer.recv().await {
                Ok(message) => self.hear(&message),
                Err(KafkaError::PartitionEOF(partition)) => {
                    unread.remove(&partition);
                }
                Err(error) => {
                    tracing::debug!(error.message = %error, "kafka consumer reports an error");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
            if unread.is_empty()
                && let Some(read) = read.take()
            {
                self.metrics.revocations_unread(Source::Topic, false);
                let _nobody_waits = read.send(());
            }
        }
    }

    /// Takes all partitions from where they matter on, and says which there are.
    async fn begin(&self) -> anyhow::Result<HashSet<i32>> {
        let (consumer, back) = (self.consumer.clone(), self.known.token_lifetime());
        let places = tokio::task::spawn_blocking(move || places(&consumer, back)).await??;
        self.consumer.assign(&places)?;
        Ok(places
            .elements()
            .iter()
            .map(TopicPartitionListElem::partition)
            .collect())
    }

    fn hear(&self, message: &BorrowedMessage<'_>) {
        match fact(message) {
            Ok(fact) => self.known.add(&Revocation::from(fact)),
            // the kernel keeps it as a dead letter
            Err(error) => {
                tracing::warn!(
                    error.message = format!("{error:#}"),
                    "a record of session.revoked makes no sense"
                );
            }
        }
    }
}

/// Where the partitions are to be read from: the first record that is young enough to matter; where the broker knows none,
/// the beginning.
fn places(consumer: &StreamConsumer, back: TimeDelta) -> anyhow::Result<TopicPartitionList> {
    let topic = Topic::SessionRevoked.name();
    let metadata = consumer.fetch_metadata(Some(topic), ASK_PATIENCE)?;
    let since = Offset::Offset((clock::now() - back).timestamp_millis());
    let mut asked = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
        asked.add_partition_offset(topic, partition.id(), since)?;
    }
    anyhow::ensure!(asked.count() > 0, "there is no topic {topic}");
    let found = consumer.offsets_for_times(asked, ASK_PATIENCE)?;
    let mut places = TopicPartitionList::new();
    for element in found.elements() {
        element.error().context("offsets by time")?;
        let place = match element.offset() {
            young @ Offset::Offset(_) => young,
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => {
                Offset::Beginning
            }
        };
        places.add_partition_offset(topic, element.partition(), place)?;
    }
    Ok(places)
}

fn fact(message: &BorrowedMessage<'_>) -> anyhow::Result<SessionRevoked> {
    let record = Record::from_kafka(message);
    let envelope = record.envelope()?;
    let fact = Message { envelope, record }.fact();
    fact.map_err(|failure| anyhow::anyhow!("{failure}"))
}
