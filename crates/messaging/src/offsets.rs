//! Offsets that the group has not taken yet. A commit fails when a rebalance is under way or the broker is gone; on a
//! partition where nothing new arrives no other commit would follow, and the group would seem to lag for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::record::Record;

/// The next offset of each partition.
type Positions = HashMap<(String, i32), i64>;

/// Positions that are processed, and not known to be committed; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Owed(Arc<Mutex<HashMap<(String, i32), Position>>>);

#[derive(Debug, Clone, Copy)]
struct Position {
    /// The offset after the last one that is processed.
    next: i64,
    /// The group was asked to take it, and has not answered.
    asked: bool,
}

impl Owed {
    fn positions(&self) -> MutexGuard<'_, HashMap<(String, i32), Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything that the group was not asked to take.
    pub(crate) fn is_due(&self) -> bool {
        self.positions().values().any(|position| !position.asked)
    }

    /// These have been processed.
    pub(crate) fn processed(&self, reached: Positions) {
        let due = |(place, next)| (place, Position { next, asked: false });
        self.positions().extend(reached.into_iter().map(due));
    }

    /// Only these are this client's. The others are somebody else's by now, who may be further.
    pub(crate) fn retain(&self, assigned: &TopicPartitionList) {
        let mut positions = self.positions();
        positions.retain(|(topic, partition), _| assigned.find_partition(topic, *partition).is_some());
    }

    /// What the group is to be asked to take on these partitions.
    pub(crate) fn due(&self, of: &TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), position) in &*self.positions() {
            if !position.asked && of.find_partition(topic, *partition).is_some() {
                list.add_partition_offset(topic, *partition, Offset::Offset(position.next))?;
            }
        }
        Ok(list)
    }

    /// The group was asked to take these.
    pub(crate) fn asked(&self, list: &TopicPartitionList) {
        let mut positions = self.positions();
        for element in list.elements() {
            let place = (element.topic().to_owned(), element.partition());
            if let Some(position) = positions.get_mut(&place) {
                position.asked = element.offset() == Offset::Offset(position.next);
            }
        }
    }

    /// Whatever has had no answer is due again.
    pub(crate) fn ask_again(&self) {
        for position in self.positions().values_mut() {
            position.asked = false;
        }
    }

    /// The group has these, except where an element says otherwise.
    pub(crate) fn committed(&self, list: &TopicPartitionList) {
        let mut positions = self.positions();
        for element in list.elements() {
            let place = (element.topic().to_owned(), element.partition());
            let taken = |position: &Position| matches!(element.offset(), Offset::Offset(taken) if position.next <= taken);
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
        let due = owed.due(&list(assigned)).unwrap();
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
        owed.asked(&list(&[(1, 7)]));
        assert!(!owed.is_due());
        owed.ask_again();
        assert_eq!(next(&owed, &[(0, 0), (1, 0)]), [(1, 7)]);
        owed.committed(&list(&[(1, 7)]));
        owed.ask_again();
        assert!(!owed.is_due());
    }

    #[test]
    fn what_is_processed_after_the_group_was_asked_is_due() {
        let owed = owed(&[(0, 5)]);
        owed.processed(Positions::from([(("t".to_owned(), 0), 6)]));
        owed.asked(&list(&[(0, 5)]));
        assert_eq!(next(&owed, &[(0, 0)]), [(0, 6)]);
    }

    #[test]
    fn what_is_somebody_elses_is_forgotten() {
        let owed = owed(&[(0, 5), (1, 7), (2, 9)]);
        owed.revoked(&list(&[(0, 0)]));
        assert_eq!(next(&owed, &[(0, 0), (1, 0)]), [(1, 7)]);
        owed.retain(&list(&[(0, 0), (2, 0)]));
        assert_eq!(next(&owed, &[(0, 0), (1, 0), (2, 0)]), [(2, 9)]);
    }
}
