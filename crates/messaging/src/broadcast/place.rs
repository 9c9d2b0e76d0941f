//! Where the reading of a whole topic stands, whichever client does it, and what the broker says of the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Tail;
use chassis::clock;
use chrono::TimeDelta;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};

/// Offsets of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// Its first record, or the first that is young enough to matter.
    first: i64,
    /// One past its last record.
    end: i64,
}

/// What the broker says of the topic, by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extent(BTreeMap<i32, Ends>);

impl Extent {
    /// Asks through `kafka`. With `back`, a partition begins at its first record that is not older.
    pub(super) async fn ask(
        kafka: Arc<Tail>,
        topic: &'static str,
        back: Option<TimeDelta>,
        patience: Duration,
    ) -> KafkaResult<Self> {
        let asked = tokio::task::spawn_blocking(move || ask(&kafka, topic, back, patience)).await;
        // the task cannot be cancelled; a panic in it is met like a broker that does not answer
        asked.map_err(|_died| KafkaError::Canceled)?
    }
}

fn ask(kafka: &Tail, topic: &str, back: Option<TimeDelta>, patience: Duration) -> KafkaResult<Extent> {
    let metadata = kafka.fetch_metadata(Some(topic), patience)?;
    let mut extent = Extent::default();
    for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
        let (first, end) = kafka.fetch_watermarks(topic, partition.id(), patience)?;
        extent.0.insert(partition.id(), Ends { first, end });
    }
    if extent.0.is_empty() {
        return Err(KafkaError::MetadataFetch(
            RDKafkaErrorCode::UnknownTopicOrPartition,
        ));
    }
    if let Some(back) = back {
        leave_out_the_old(kafka, topic, &mut extent, back, patience)?;
    }
    Ok(extent)
}

/// Where no record is young enough the beginning stays: one may have come since.
fn leave_out_the_old(
    kafka: &Tail,
    topic: &str,
    extent: &mut Extent,
    back: TimeDelta,
    patience: Duration,
) -> KafkaResult<()> {
    let since = Offset::Offset((clock::now() - back).timestamp_millis());
    let mut asked = TopicPartitionList::new();
    for partition in extent.0.keys() {
        asked.add_partition_offset(topic, *partition, since)?;
    }
    let found = kafka.offsets_for_times(asked, patience)?;
    for element in found.elements() {
        element.error()?;
        if let (Offset::Offset(young), Some(ends)) =
            (element.offset(), extent.0.get_mut(&element.partition()))
        {
            ends.first = ends.first.max(young);
        }
    }
    Ok(())
}

/// Where the reading stands.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The next offset of each partition.
    next: BTreeMap<i32, i64>,
    /// Partitions of the beginning that have not been read to their end; none before the beginning.
    unread: Option<BTreeSet<i32>>,
    /// The next offsets when the broker began to be asked: while it answers, reading goes on and may pass what it says.
    before: BTreeMap<i32, i64>,
    /// The topic was not there.
    gone: bool,
}

/// What a look at the topic has shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// All is as it should be.
    Reads,
    /// Records of this partition are waiting, and none was read since before the broker was asked.
    Stalls(i32),
    /// There are partitions that are not read yet.
    Grown,
    /// It is another topic of the same name.
    Replaced,
}

impl Place {
    pub(super) fn positions(&self) -> impl Iterator<Item = (i32, i64)> {
        self.next.iter().map(|(partition, next)| (*partition, *next))
    }

    /// The broker is about to be asked.
    pub(super) fn asks(&mut self) {
        self.before.clone_from(&self.next);
    }

    /// Takes in all partitions of `extent`: where one is known already, reading goes on. True when it is another topic of
    /// the same name, which is read from its beginning.
    pub(super) fn cover(&mut self, extent: &Extent) -> bool {
        let replaced = self.forget_what_was_replaced(extent);
        for (partition, ends) in &extent.0 {
            self.next.entry(*partition).or_insert(ends.first);
        }
        self.unread
            .get_or_insert_with(|| extent.0.keys().copied().collect());
        replaced
    }

    pub(super) fn read(&mut self, partition: i32, offset: i64) {
        self.next.insert(partition, offset.saturating_add(1));
    }

    pub(super) fn reached_end(&mut self, partition: i32) {
        if let Some(unread) = &mut self.unread {
            unread.remove(&partition);
        }
    }

    pub(super) fn has_caught_up(&self) -> bool {
        self.unread.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// A look that has failed with `error`.
    pub(super) fn lost(&mut self, error: &KafkaError) {
        let unknown = Some(RDKafkaErrorCode::UnknownTopicOrPartition);
        // before anything was read, a topic that is not there is merely not there yet
        self.gone |= error.rdkafka_error_code() == unknown && !self.next.is_empty();
    }

    pub(super) fn judge(&mut self, extent: &Extent) -> Finding {
        if self.forget_what_was_replaced(extent) {
            return Finding::Replaced;
        }
        if extent
            .0
            .keys()
            .any(|partition| !self.next.contains_key(partition))
        {
            return Finding::Grown;
        }
        let stalls = |(partition, ends): (&i32, &Ends)| {
            let next = self.next.get(partition)?;
            (ends.end > *next && self.before.get(partition) == Some(next)).then_some(*partition)
        };
        extent
            .0
            .iter()
            .find_map(stalls)
            .map_or(Finding::Reads, Finding::Stalls)
    }

    /// Offsets of a topic that was deleted say nothing about the one that has its name now: it ends before what was read.
    fn forget_what_was_replaced(&mut self, extent: &Extent) -> bool {
        let ends_before = |(partition, ends): (&i32, &Ends)| {
            self.before.get(partition).is_some_and(|next| ends.end < *next)
        };
        let replaced = self.gone || extent.0.iter().any(ends_before);
        if replaced {
            self.next.clear();
            self.before.clear();
            self.gone = false;
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(ends: &[(i64, i64)]) -> Extent {
        let ends = ends.iter().map(|(first, end)| Ends {
            first: *first,
            end: *end,
        });
        Extent((0..).zip(ends).collect())
    }

    fn at(ends: &[(i64, i64)]) -> Place {
        let mut place = Place::default();
        place.cover(&extent(ends));
        place
    }

    fn positions(place: &Place) -> Vec<i64> {
        place.positions().map(|(_, next)| next).collect()
    }

    #[test]
    fn reading_begins_at_the_first_and_goes_on_where_it_was() {
        let mut place = at(&[(3, 9), (0, 0)]);
        assert_eq!(positions(&place), [3, 0]);
        place.read(0, 5);
        place.cover(&extent(&[(3, 9), (0, 2), (0, 4)]));
        assert_eq!(positions(&place), [6, 0, 0]);
    }

    #[test]
    fn it_has_caught_up_when_each_partition_of_the_beginning_was_read_to_its_end() {
        let mut place = at(&[(0, 1), (0, 0)]);
        place.cover(&extent(&[(0, 1), (0, 0), (0, 7)]));
        place.reached_end(1);
        assert!(!place.has_caught_up());
        place.reached_end(0);
        assert!(place.has_caught_up());
        assert!(!Place::default().has_caught_up());
    }

    #[test]
    fn records_that_wait_while_none_is_read_are_a_stall() {
        let mut place = at(&[(0, 2), (0, 2)]);
        place.asks();
        place.read(0, 0);
        place.read(1, 1);
        assert_eq!(place.judge(&extent(&[(0, 2), (0, 2)])), Finding::Reads);
        place.asks();
        assert_eq!(place.judge(&extent(&[(0, 2), (0, 2)])), Finding::Stalls(0));
    }

    #[test]
    fn what_is_read_while_the_broker_answers_is_no_sign_of_another_topic() {
        let mut place = at(&[(0, 0)]);
        place.asks();
        let asked = extent(&[(0, 0)]);
        place.read(0, 0);
        place.read(0, 1);
        assert_eq!(place.judge(&asked), Finding::Reads);
        place.asks();
        assert_eq!(place.judge(&asked), Finding::Replaced);
    }

    #[test]
    fn partitions_that_are_added_and_a_topic_made_anew_are_noticed() {
        let mut place = at(&[(0, 5)]);
        place.read(0, 4);
        place.asks();
        assert_eq!(place.judge(&extent(&[(0, 5), (0, 1)])), Finding::Grown);
        assert_eq!(place.judge(&extent(&[(0, 4)])), Finding::Replaced);
        place.cover(&extent(&[(0, 4)]));
        assert_eq!(positions(&place), [0]);
        // it was seen to be away, so more records than before are no proof that it is the same
        place.lost(&KafkaError::MetadataFetch(
            RDKafkaErrorCode::UnknownTopicOrPartition,
        ));
        assert_eq!(place.judge(&extent(&[(0, 50)])), Finding::Replaced);
        place.lost(&KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut));
        place.cover(&extent(&[(0, 50)]));
        assert_eq!(place.judge(&extent(&[(0, 50)])), Finding::Reads);
    }
}
