//! On which partitions the group has offsets. The broker forgets them with their topic: where there was one and is none any
//! more, it is another topic, and librdkafka would go on in it from the position that it had in the old one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use tracing::error;

use crate::supervision::Stall;

/// A partition.
type Place = (String, i32);
/// Some of them.
pub(crate) type Places = HashSet<Place>;

/// Partitions on which the group is known to have an offset, while one client reads them; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownOffsets(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    places: Places,
    /// A topic that is another one: nothing more is to be made of this client's positions.
    replaced: Option<String>,
}

impl KnownOffsets {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in which offsets the group had when the broker was asked. An error names a topic that is another one, from then
    /// on every time; it is logged once. `before` is what was known when the question was put: what has become known since
    /// says nothing about the answer.
    pub(crate) fn compare(&self, before: &Places, told: &TopicPartitionList) -> Result<(), Stall> {
        let elements = told.elements();
        let none = |element: &&TopicPartitionListElem<'_>| element.error().is_ok() && !has_offset(element);
        let mut gone = elements.iter().filter(none).map(place);
        let mut known = self.known();
        if known.replaced.is_none()
            && let Some((topic, _)) = gone.find(|place| before.contains(place))
        {
            error!(
                topic,
                "the topic was made anew: it is read from its beginning, and what it held before is gone"
            );
            known.replaced = Some(topic);
        }
        if let Some(topic) = &known.replaced {
            return Err(Stall::TopicReplaced(topic.clone()));
        }
        known
            .places
            .extend(elements.iter().filter(|element| has_offset(element)).map(place));
        Ok(())
    }

    /// What is known by now.
    pub(crate) fn now(&self) -> Places {
        self.known().places.clone()
    }
}

fn has_offset(element: &TopicPartitionListElem<'_>) -> bool {
    element.error().is_ok() && matches!(element.offset(), Offset::Offset(_))
}

fn place(element: &TopicPartitionListElem<'_>) -> Place {
    (element.topic().to_owned(), element.partition())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(committed: &[i32], none: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in committed {
            list.add_partition_offset("t", *partition, Offset::Offset(5))
                .unwrap();
        }
        for partition in none {
            list.add_partition_offset("t", *partition, Offset::Invalid)
                .unwrap();
        }
        list
    }

    #[test]
    fn an_offset_that_the_group_had_and_has_not_any_more_tells_of_another_topic() {
        let known = KnownOffsets::default();
        let compare = |committed: &[i32], none: &[i32]| known.compare(&known.now(), &told(committed, none));
        assert_eq!(compare(&[0], &[1]), Ok(()));
        let before = known.now();
        // the second partition was never read before, and is when the answer comes
        assert_eq!(compare(&[1], &[]), Ok(()));
        assert_eq!(known.compare(&before, &told(&[0], &[1])), Ok(()));
        // another member has the first one now
        assert_eq!(compare(&[1], &[]), Ok(()));
        let replaced = Err(Stall::TopicReplaced("t".to_owned()));
        assert_eq!(compare(&[1], &[0]), replaced);
        assert_eq!(compare(&[0, 1], &[]), replaced, "whoever asks from then on");
    }
}
