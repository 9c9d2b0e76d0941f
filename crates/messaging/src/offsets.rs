//! Offsets that the group has not taken yet. A commit fails when a rebalance is under way or the broker is gone; on a
//! partition where nothing new arrives no other commit would follow, and the group would seem to lag for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::record::Record;

/// The next offset of each partition.
type Positions = HashMap<(String, i32), i64>;

/// Positions that are processed, and not known to be committed.
#[derive(Clone, Default)]
pub(crate) struct Owed(Arc<Mutex<Positions>>);

impl Owed {
    fn positions(&self) -> MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.positions().is_empty()
    }

    /// These have been processed.
    pub(crate) fn processed(&self, reached: Positions) {
        self.positions().extend(reached);
    }

    /// What is to be committed. Of partitions that are somebody else's by now nothing is: that one may be further.
    pub(crate) fn of(&self, assigned: &TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let mut positions = self.positions();
        positions.retain(|(topic, partition), _| assigned.find_partition(topic, *partition).is_some());
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for ((topic, partition), next) in positions.iter() {
            list.add_partition_offset(topic, *partition, Offset::Offset(*next))?;
        }
        Ok(list)
    }

    /// The group has taken these, except where an element says otherwise.
    pub(crate) fn committed(&self, list: &TopicPartitionList) {
        let mut positions = self.positions();
        for element in list.elements() {
            let place = (element.topic().to_owned(), element.partition());
            let taken = |next: &i64| matches!(element.offset(), Offset::Offset(taken) if *next <= taken);
            if element.error().is_ok() && positions.get(&place).is_some_and(taken) {
                positions.remove(&place);
            }
        }
    }

    /// These are somebody else's now.
    pub(crate) fn revoked(&self, list: &TopicPartitionList) {
        let mut positions = self.positions();
        for element in list.elements() {
            positions.remove(&(element.topic().to_owned(), element.partition()));
        }
    }
}

/// Where a batch ends.
pub(crate) fn positions(records: &[Record]) -> Positions {
    let mut positions = Positions::new();
    for record in records {
        let place = (record.origin.topic.clone(), record.origin.partition);
        let next = record.origin.offset.saturating_add(1);
        positions
            .entry(place)
            .and_modify(|offset| *offset = next.max(*offset))
            .or_insert(next);
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(positions: &[(i32, i64)]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, next) in positions {
            list.add_partition_offset("t", *partition, Offset::Offset(*next))
                .unwrap();
        }
        list
    }

    fn owed(positions: &[(i32, i64)]) -> Owed {
        let owed = Owed::default();
        let reached = positions
            .iter()
            .map(|(partition, next)| (("t".to_owned(), *partition), *next));
        owed.processed(reached.collect());
        owed
    }

    fn next(owed: &Owed, assigned: &[(i32, i64)]) -> Vec<(i32, i64)> {
        let due = owed.of(&list(assigned)).unwrap();
        let mut due: Vec<_> = due
            .elements()
            .iter()
            .map(|element| (element.partition(), element.offset().to_raw().unwrap()))
            .collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn what_was_not_taken_is_committed_again() {
        let owed = owed(&[(0, 5), (1, 7)]);
        owed.committed(&list(&[(0, 5), (1, 6)]));
        assert_eq!(next(&owed, &[(0, 0), (1, 0)]), [(1, 7)]);
        owed.committed(&list(&[(1, 7)]));
        assert!(owed.is_empty());
    }

    #[test]
    fn what_is_somebody_elses_is_forgotten() {
        let owed = owed(&[(0, 5), (1, 7), (2, 9)]);
        owed.revoked(&list(&[(0, 0)]));
        assert_eq!(next(&owed, &[(0, 0), (2, 0)]), [(2, 9)]);
        assert_eq!(next(&owed, &[(0, 0), (1, 0), (2, 0)]), [(2, 9)]);
    }
}
