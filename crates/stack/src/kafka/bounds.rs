//! Where the partitions of topics begin and end.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::error::{Error, Result};

/// A broker that has just made a topic, or has just started, does not lead its partitions at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// One question of it.
const ANSWER: Duration = Duration::from_secs(5);
/// Before a question is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// A partition as it is at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The offset of its first record.
    pub low: i64,
    /// The offset after its last record.
    pub high: i64,
}

impl Bounds {
    /// As many offsets as it has.
    pub fn records(&self) -> i64 {
        self.high - self.low
    }
}

/// The partitions of these topics, in their order; blocks.
///
/// # Errors
///
/// A topic is not there, or the broker does not answer within half a minute.
pub fn bounds<'a>(consumer: &BaseConsumer, topics: impl IntoIterator<Item = &'a str>) -> Result<Vec<Bounds>> {
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    for topic in topics {
        for partition in insist(deadline, || partitions(consumer, topic))? {
            found.push(ask(consumer, topic, partition, deadline)?);
        }
    }
    Ok(found)
}

/// One partition; blocks.
///
/// # Errors
///
/// The broker does not answer within half a minute.
pub fn of_partition(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<Bounds> {
    ask(consumer, topic, partition, Instant::now() + PATIENCE)
}

/// Assigns these partitions to a consumer, from the places that `from` names.
///
/// # Errors
///
/// The client refuses the assignment.
pub fn assign(consumer: &BaseConsumer, bounds: &[Bounds], from: impl Fn(&Bounds) -> i64) -> KafkaResult<()> {
    let mut all = TopicPartitionList::new();
    for partition in bounds {
        let offset = Offset::Offset(from(partition));
        all.add_partition_offset(&partition.topic, partition.partition, offset)?;
    }
    consumer.assign(&all)
}

fn ask(consumer: &BaseConsumer, topic: &str, partition: i32, deadline: Instant) -> Result<Bounds> {
    let watermarks = || Ok(consumer.fetch_watermarks(topic, partition, ANSWER)?);
    let (low, high) = insist(deadline, watermarks)?;
    Ok(Bounds {
        topic: topic.to_owned(),
        partition,
        low,
        high,
    })
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let found = metadata
        .topics()
        .iter()
        .flat_map(rdkafka::metadata::MetadataTopic::partitions);
    let partitions: Vec<i32> = found.map(rdkafka::metadata::MetadataPartition::id).collect();
    if partitions.is_empty() {
        return Err(Error::Invalid(format!("the broker has no topic {topic}")));
    }
    Ok(partitions)
}

#[expect(clippy::disallowed_methods, reason = "the caller's thread is one that blocks")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Asks again until then.
fn insist<T>(deadline: Instant, ask: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match ask() {
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_not_yet) => pause(),
            answer => return answer,
        }
    }
}
