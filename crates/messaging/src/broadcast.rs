//! A topic that each process reads whole, straight from the broker: for what every replica has to know at once, whatever
//! its group's backlog and its database are doing.
//!
//! No group is joined, nothing is committed, retried or parked: what must not be lost has a participant as well.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use chrono::TimeDelta;
use contracts::Fact;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::broker::broadcast_config;
use crate::participant::Message;
use crate::record::Record;
use crate::{BuildError, Failure};

/// How long the broker has for an answer about the topic …
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// … and how long after none, or another error, it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// This process's own reader of one topic.
pub struct Broadcast {
    kafka: Arc<StreamConsumer>,
}

impl Broadcast {
    /// A reader that has read nothing yet, known to the broker as `name`.
    ///
    /// # Errors
    /// [`BuildError::Kafka`] when librdkafka refuses its configuration.
    pub fn new(brokers: &str, name: &str) -> Result<Self, BuildError> {
        let kafka = broadcast_config(brokers, name).create()?;
        Ok(Self {
            kafka: Arc::new(kafka),
        })
    }

    /// Hands every fact on the topic of `F` to `hear`, from those announced `back` ago on, until `stop`. Says
    /// `caught_up` once, when `hear` has had all that was there at the start. A record that is no such fact is logged
    /// and passed over.
    pub async fn run<F: Fact>(
        self,
        back: TimeDelta,
        hear: impl Fn(F),
        caught_up: impl FnOnce(),
        stop: CancellationToken,
    ) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.listen(back, hear, caught_up) => {}
        }
        // closing may wait for the broker, and nobody shall wait for that
        std::thread::spawn(move || drop(self));
    }

    async fn listen<F: Fact>(&self, back: TimeDelta, hear: impl Fn(F), caught_up: impl FnOnce()) {
        let topic = F::TOPIC.name();
        let mut unread = loop {
            match self.begin(topic, back).await {
                Ok(partitions) => break partitions,
                Err(error) => {
                    warn!(%error, topic, "a topic cannot be read yet");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        };
        let mut caught_up = Some(caught_up);
        loop {
            match self.kafka.recv().await {
                Ok(message) => match fact(Record::from_kafka(&message)) {
                    Ok(fact) => hear(fact),
                    Err(error) => warn!(%error, topic, "a record makes no sense"),
                },
                Err(KafkaError::PartitionEOF(partition)) => {
                    unread.remove(&partition);
                }
                Err(error) => {
                    debug!(%error, topic, "kafka consumer reports an error");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
            if unread.is_empty()
                && let Some(caught_up) = caught_up.take()
            {
                caught_up();
            }
        }
    }

    /// Takes all partitions from where they matter on, and says which there are.
    async fn begin(&self, topic: &'static str, back: TimeDelta) -> KafkaResult<HashSet<i32>> {
        let kafka = self.kafka.clone();
        let asked = tokio::task::spawn_blocking(move || places(&kafka, topic, back)).await;
        // the task cannot be cancelled; a panic in it is met like a broker that does not answer
        let places = asked.map_err(|_died| KafkaError::Canceled)??;
        self.kafka.assign(&places)?;
        Ok(places
            .elements()
            .iter()
            .map(TopicPartitionListElem::partition)
            .collect())
    }
}

/// Where the partitions are to be read from: the first record that is young enough to matter; where the broker knows none,
/// the beginning, since one may come before the end is looked up.
fn places(kafka: &StreamConsumer, topic: &str, back: TimeDelta) -> KafkaResult<TopicPartitionList> {
    let metadata = kafka.fetch_metadata(Some(topic), ASK_PATIENCE)?;
    let since = Offset::Offset((clock::now() - back).timestamp_millis());
    let mut asked = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
        asked.add_partition_offset(topic, partition.id(), since)?;
    }
    if asked.count() == 0 {
        return Err(KafkaError::MetadataFetch(
            RDKafkaErrorCode::UnknownTopicOrPartition,
        ));
    }
    let found = kafka.offsets_for_times(asked, ASK_PATIENCE)?;
    let mut places = TopicPartitionList::new();
    for element in found.elements() {
        element.error()?;
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

fn fact<F: Fact>(record: Record) -> Result<F, Failure> {
    let envelope = record
        .envelope()
        .map_err(|error| Failure::new("malformed-envelope", error))?;
    Message { envelope, record }.fact()
}
