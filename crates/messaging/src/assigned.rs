//! Which partitions this replica has, and what it lags behind on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::statistics::{Partition, Topic};

/// Partitions by topic.
type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// The partitions that the consumer group has assigned to this replica; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assigned(Arc<Mutex<Partitions>>);

impl Assigned {
    fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, list: &TopicPartitionList) {
        let mut partitions = self.partitions();
        for element in list.elements() {
            let of_topic = partitions.entry(element.topic().to_owned()).or_default();
            of_topic.insert(element.partition());
        }
    }

    pub(crate) fn remove(&self, list: &TopicPartitionList) {
        let mut partitions = self.partitions();
        for element in list.elements() {
            if let Some(of_topic) = partitions.get_mut(element.topic()) {
                of_topic.remove(&element.partition());
            }
        }
    }

    /// Those of `topic`.
    pub(crate) fn of(&self, topic: &str) -> Vec<i32> {
        let partitions = self.partitions();
        partitions.get(topic).into_iter().flatten().copied().collect()
    }

    /// How many there are, of all topics.
    pub(crate) fn count(&self) -> usize {
        self.partitions().values().map(BTreeSet::len).sum()
    }

    /// Messages of `topic` that this replica has yet to consume. None while that is not known of all its partitions, and
    /// when it has none.
    pub(crate) fn lag(&self, topic: &Topic) -> Option<i64> {
        let mine = self.of(&topic.topic);
        if mine.is_empty() {
            return None;
        }
        let lags = mine.iter().map(|partition| lag(topic.partitions.get(partition)?));
        lags.sum()
    }
}

/// librdkafka tells -1 also of a partition of which nothing was ever committed, although that is known: all of it is
/// still to come.
fn lag(partition: &Partition) -> Option<i64> {
    let (low, high) = (partition.lo_offset, partition.hi_offset);
    match partition.consumer_lag {
        lag if lag >= 0 => Some(lag),
        _ if partition.committed_offset >= 0 || high < 0 => None,
        _ if high == 0 => Some(0),
        _ if low >= 0 => Some(high.saturating_sub(low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition("t", *partition);
        }
        list
    }

    fn partition(lag: i64, committed: i64, low: i64, high: i64) -> Partition {
        Partition {
            consumer_lag: lag,
            committed_offset: committed,
            lo_offset: low,
            hi_offset: high,
            ..Partition::default()
        }
    }

    fn topic(partitions: [Partition; 2]) -> Topic {
        Topic {
            topic: "t".to_owned(),
            partitions: (0..).zip(partitions).collect(),
            ..Topic::default()
        }
    }

    #[test]
    fn partitions_come_and_go() {
        let assigned = Assigned::default();
        assigned.add(&list(&[2, 0]));
        assigned.add(&list(&[5]));
        assigned.remove(&list(&[0]));
        assert_eq!(assigned.of("t"), [2, 5]);
        assert!(assigned.of("other").is_empty());
    }

    #[test]
    fn a_lag_that_is_not_known_is_not_zero() {
        let assigned = Assigned::default();
        let known = || partition(3, 7, 0, 10);
        let lag = |assigned: &Assigned, other| assigned.lag(&topic([known(), other]));
        assert_eq!(lag(&assigned, known()), None, "it has none");
        assigned.add(&list(&[0]));
        let no_answer_yet = || partition(-1, -1001, -1001, -1001);
        assert_eq!(lag(&assigned, no_answer_yet()), Some(3), "somebody else's");
        assigned.add(&list(&[1]));
        assert_eq!(lag(&assigned, no_answer_yet()), None);
        assert_eq!(lag(&assigned, partition(-1, -1001, 0, 0)), Some(3), "empty");
        assert_eq!(lag(&assigned, partition(-1, -1001, 4, 9)), Some(8), "never read");
        assert_eq!(lag(&assigned, partition(0, 9, 4, 9)), Some(3));
    }
}
