//! What Kafka says about a group and its topics. All of this blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

use super::{FenceError, Kafka};

/// A topic and one of its partitions.
pub(super) type Place = (String, i32);
/// An offset of each partition.
pub(super) type Offsets = BTreeMap<Place, i64>;

/// What was told of all partitions.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The first offset that is still there.
    pub(super) begins: Offsets,
    /// The offset after the last record.
    pub(super) ends: Offsets,
    /// The offset after the last record that the group has committed, where it has committed any.
    pub(super) committed: Offsets,
}

impl Answer {
    /// The offset of the next record that the group has to process.
    pub(super) fn position(&self, place: &Place) -> i64 {
        let of = |offsets: &Offsets| offsets.get(place).copied().unwrap_or_default();
        of(&self.committed).max(of(&self.begins))
    }
}

/// Asks about all partitions of `topics`, in a few requests however many partitions there are. `awaited` are partitions
/// that were there before.
pub(super) fn ask(
    kafka: &Kafka,
    topics: &[String],
    awaited: &[Place],
    until: Instant,
) -> Result<Answer, FenceError> {
    // errors that the client has reported since; the calls below have their own
    while kafka.poll(Duration::ZERO).is_some() {}
    let mut there = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for topic in topics {
        let partitions = partitions(kafka, topic, until)?;
        if partitions.is_empty() {
            unknown.insert((topic.clone(), 0));
        }
        there.extend(partitions.into_iter().map(|partition| (topic.clone(), partition)));
    }
    let gone = awaited.iter().filter(|place| !there.contains(*place)).cloned();
    unknown.extend(gone);
    let asked = there.iter().chain(&unknown);
    let committed = committed(kafka, asked, until)?;
    if let Some((topic, _)) = unknown.iter().find(|place| committed.contains_key(*place)) {
        // with a topic that is deleted, Kafka deletes what groups have committed of it: this one is only out of sight
        return Err(FenceError::TopicUnknown(topic.clone()));
    }
    Ok(Answer {
        begins: offsets(kafka, &there, Offset::Beginning, until)?,
        ends: offsets(kafka, &there, Offset::End, until)?,
        committed,
    })
}

fn left(until: Instant) -> Duration {
    // librdkafka takes 0 for "do not wait at all"
    until
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
}

/// The partitions of a topic; none when there is no such topic.
fn partitions(kafka: &Kafka, topic: &str, until: Instant) -> Result<Vec<i32>, FenceError> {
    let metadata = kafka.fetch_metadata(Some(topic), left(until))?;
    if metadata.brokers().is_empty() {
        return Err(FenceError::NoBroker);
    }
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from) {
        None | Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {}
        Some(code) => return Err(KafkaError::MetadataFetch(code).into()),
    }
    let partitions = found.map(MetadataTopic::partitions).unwrap_or_default();
    Ok(partitions.iter().map(MetadataPartition::id).collect())
}

fn committed<'a>(
    kafka: &Kafka,
    places: impl Iterator<Item = &'a Place>,
    until: Instant,
) -> Result<Offsets, FenceError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in places {
        asked.add_partition(topic, *partition);
    }
    if asked.count() == 0 {
        return Ok(Offsets::new());
    }
    told(&kafka.committed_offsets(asked, left(until))?)
}

/// Where each partition begins, or ends.
fn offsets(
    kafka: &Kafka,
    places: &BTreeSet<Place>,
    at: Offset,
    until: Instant,
) -> Result<Offsets, FenceError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in places {
        asked.add_partition_offset(topic, *partition, at)?;
    }
    if asked.count() == 0 {
        return Ok(Offsets::new());
    }
    let offsets = told(&kafka.offsets_for_times(asked, left(until))?)?;
    if places.iter().all(|place| offsets.contains_key(place)) {
        Ok(offsets)
    } else {
        Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition).into())
    }
}

/// The offsets that a list tells; where there is none, nothing.
fn told(list: &TopicPartitionList) -> Result<Offsets, FenceError> {
    let mut offsets = Offsets::new();
    for element in list.elements() {
        element.error()?;
        match element.offset() {
            Offset::Offset(offset) => {
                offsets.insert((element.topic().to_owned(), element.partition()), offset);
            }
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => {}
        }
    }
    Ok(offsets)
}
