//! What has become of the topics that a consumer reads. One that is gone is told, and one that was deleted and made anew is
//! read from its beginning: librdkafka would keep the position that it had in the old one.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, error, info};

use crate::supervision::Stall;

/// How often the broker is asked.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// A partition.
type Place = (String, i32);

/// The consumer, as far as this asks it.
pub(crate) trait Asked: Send + Sync + 'static {
    /// The topic's error, if it has one: a topic that is not there is no failure of the question.
    fn topic_error(&self, topic: &str, patience: Duration) -> KafkaResult<Option<RDKafkaRespErr>>;
    /// The group's offsets on the partitions that this member has.
    fn committed(&self, patience: Duration) -> KafkaResult<TopicPartitionList>;
}

/// Looks after the topics of one client.
pub(crate) struct TopicCheck {
    topics: Arc<[String]>,
    patience: Duration,
    at: Instant,
    asked: Option<JoinHandle<KafkaResult<Looked>>>,
    seen: Seen,
}

/// An answer.
#[derive(Debug, Default, Clone)]
struct Looked {
    missing: BTreeSet<String>,
    committed: HashSet<Place>,
    uncommitted: HashSet<Place>,
}

/// What is known so far.
#[derive(Debug, Default)]
struct Seen {
    missing: BTreeSet<String>,
    /// Partitions on which the group had an offset.
    committed: HashSet<Place>,
}

impl TopicCheck {
    pub(crate) fn new(topics: Vec<String>, patience: Duration) -> Self {
        Self {
            topics: topics.into(),
            patience,
            at: Instant::now(),
            asked: None,
            seen: Seen::default(),
        }
    }

    /// A topic that is not there.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.seen.missing.first().map(String::as_str)
    }

    /// Takes an answer in that has come, and asks again when it is time. The client is to begin anew on a topic that is
    /// another one than it has read.
    pub(crate) fn look(&mut self, now: Instant, consumer: &Arc<impl Asked>) -> Result<(), Stall> {
        if let Some(asked) = self.asked.as_mut() {
            let Some(answer) = asked.now_or_never() else {
                return Ok(());
            };
            self.asked = None;
            return match answer {
                Ok(Ok(looked)) => self.seen.take(looked),
                Ok(Err(error)) => {
                    debug!(%error, "topics not looked after");
                    Ok(())
                }
                Err(died) => {
                    debug!(error = %died, "topics not looked after");
                    Ok(())
                }
            };
        }
        if now >= self.at {
            self.at = now + CHECK_EVERY;
            let (consumer, topics, patience) = (consumer.clone(), self.topics.clone(), self.patience);
            self.asked = Some(tokio::task::spawn_blocking(move || {
                ask(consumer.as_ref(), &topics, patience)
            }));
        }
        Ok(())
    }
}

fn ask(consumer: &impl Asked, topics: &[String], patience: Duration) -> KafkaResult<Looked> {
    let mut looked = Looked::default();
    for topic in topics {
        let error = consumer.topic_error(topic, patience)?.map(RDKafkaErrorCode::from);
        if error == Some(RDKafkaErrorCode::UnknownTopicOrPartition) {
            looked.missing.insert(topic.clone());
        }
    }
    for element in consumer.committed(patience)?.elements() {
        let place = (element.topic().to_owned(), element.partition());
        match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(_)) => drop(looked.committed.insert(place)),
            (Ok(()), _) => drop(looked.uncommitted.insert(place)),
            (Err(_unknown), _) => {}
        }
    }
    Ok(looked)
}

impl Seen {
    /// The broker forgets a group's offsets with the topic: where there was one and is none, it is another topic.
    fn take(&mut self, looked: Looked) -> Result<(), Stall> {
        for topic in looked.missing.difference(&self.missing) {
            error!(topic, "a topic that this service consumes does not exist");
        }
        let back = self.missing.difference(&looked.missing).next().cloned();
        if let Some(topic) = &back {
            info!(topic, "a topic that did not exist is there");
        }
        self.missing = looked.missing;
        let forgotten = self.committed.intersection(&looked.uncommitted).next();
        let replaced = forgotten.map(|(topic, _)| topic.clone());
        self.committed.extend(looked.committed);
        let Some(topic) = replaced else {
            return Ok(());
        };
        error!(
            topic,
            "the topic was made anew: it is read from its beginning, and what it held before is gone"
        );
        self.committed.retain(|(name, _)| *name != topic);
        Err(Stall::TopicReplaced(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(missing: &[&str], committed: &[i32], uncommitted: &[i32]) -> Looked {
        let places = |partitions: &[i32]| partitions.iter().map(|it| ("t".to_owned(), *it)).collect();
        Looked {
            missing: missing.iter().map(ToString::to_string).collect(),
            committed: places(committed),
            uncommitted: places(uncommitted),
        }
    }

    #[test]
    fn an_offset_that_the_group_had_and_has_not_any_more_tells_of_another_topic() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(looked(&[], &[0], &[1])), Ok(()));
        // the second partition was never read before
        assert_eq!(seen.take(looked(&[], &[0, 1], &[])), Ok(()));
        // another member has the first one now
        assert_eq!(seen.take(looked(&[], &[1], &[])), Ok(()));
        let replaced = Err(Stall::TopicReplaced("t".to_owned()));
        assert_eq!(seen.take(looked(&[], &[1], &[0])), replaced);
        assert_eq!(seen.take(looked(&[], &[], &[0, 1])), Ok(()), "told once");
    }

    #[test]
    fn a_topic_that_is_not_there_is_named_until_it_is() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(looked(&["t"], &[], &[])), Ok(()));
        assert_eq!(seen.missing.first().map(String::as_str), Some("t"));
        assert_eq!(seen.take(looked(&[], &[], &[0])), Ok(()));
        assert!(seen.missing.is_empty());
    }
}
