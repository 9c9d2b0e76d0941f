//! What has become of the topics that a consumer reads, and of its group. A topic that is gone is told. One that was deleted and made anew is
//! read from its beginning: librdkafka would keep the position that it had in the old one. For one that has more partitions
//! than before the group is joined again, so that all of them are somebody's, and so it is when a settled group has left some to
//! nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, error, info};

use crate::known_offsets::KnownOffsets;
use crate::supervision::Stall;

/// How often the broker is asked.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The consumer, as far as this asks it.
pub(crate) trait Asked: Send + Sync + 'static {
    /// The topic's error, if it has one (a topic that is not there is no failure of the question), and its partitions.
    fn topic(&self, topic: &str, patience: Duration) -> KafkaResult<(Option<RDKafkaRespErr>, usize)>;
    /// The group's offsets on the partitions that this member has.
    fn all_committed(&self, patience: Duration) -> KafkaResult<TopicPartitionList>;
    /// A partition of these topics (each with the number of its partitions) that no member of the settled group has.
    fn nobodys(
        &self,
        group: &str,
        topics: &BTreeMap<String, usize>,
        patience: Duration,
    ) -> KafkaResult<Option<String>>;
}

/// Looks after the topics of one client.
pub(crate) struct TopicCheck {
    group: Arc<str>,
    topics: Arc<[String]>,
    patience: Duration,
    at: Instant,
    asked: Option<JoinHandle<KafkaResult<Looked>>>,
    seen: Seen,
    known: KnownOffsets,
}

/// An answer.
#[derive(Debug, Default, Clone)]
struct Looked {
    missing: BTreeSet<String>,
    partitions: BTreeMap<String, usize>,
    replaced: Option<Stall>,
    nobodys: Option<String>,
}

/// What is known so far.
#[derive(Debug, Default)]
struct Seen {
    missing: BTreeSet<String>,
    partitions: BTreeMap<String, usize>,
    /// A partition that no member of the group has.
    nobodys: Option<String>,
}

impl TopicCheck {
    pub(crate) fn new(group: String, topics: Vec<String>, known: KnownOffsets, patience: Duration) -> Self {
        Self {
            group: group.into(),
            topics: topics.into(),
            patience,
            at: Instant::now(),
            asked: None,
            seen: Seen::default(),
            known,
        }
    }

    /// Goes on with another client, which knows nothing yet.
    pub(crate) fn go_on(&mut self, known: KnownOffsets) {
        self.known = known;
        self.asked = None;
    }

    /// A topic that is not there.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.seen.missing.first().map(String::as_str)
    }

    /// Takes an answer in that has come, and asks again when it is time. The client is to begin anew on a topic that is
    /// another one than it has read.
    pub(crate) fn look(&mut self, now: Instant, consumer: &Arc<impl Asked>) -> Result<(), Stall> {
        if let Some(answer) = self.asked.as_mut().and_then(FutureExt::now_or_never) {
            self.asked = None;
            match answer {
                Ok(Ok(looked)) => self.seen.take(looked)?,
                Ok(Err(error)) => debug!(%error, "topics not looked after"),
                Err(died) => debug!(error = %died, "topics not looked after"),
            }
        }
        if now >= self.at && self.asked.is_none() {
            self.at = now + CHECK_EVERY;
            let (consumer, topics, patience) = (consumer.clone(), self.topics.clone(), self.patience);
            let (group, known) = (self.group.clone(), self.known.clone());
            self.asked = Some(tokio::task::spawn_blocking(move || {
                ask(consumer.as_ref(), &group, &topics, &known, patience)
            }));
        }
        let nobodys = self.seen.nobodys.clone();
        nobodys.map_or(Ok(()), |partition| Err(Stall::Nobodys(partition)))
    }
}

fn ask(
    consumer: &impl Asked,
    group: &str,
    topics: &[String],
    known: &KnownOffsets,
    patience: Duration,
) -> KafkaResult<Looked> {
    let mut looked = Looked::default();
    for topic in topics {
        let (error, partitions) = consumer.topic(topic, patience)?;
        match error.map(RDKafkaErrorCode::from) {
            None => drop(looked.partitions.insert(topic.clone(), partitions)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => drop(looked.missing.insert(topic.clone())),
            // of a broker that is not well: the next answer tells
            Some(_) => {}
        }
    }
    let before = known.now();
    let told = consumer.all_committed(patience)?;
    looked.replaced = known.compare(&before, &told).err();
    // not everybody may describe the group, and the rest is worth knowing all the same
    looked.nobodys = consumer
        .nobodys(group, &looked.partitions, patience)
        .unwrap_or_else(|error| {
            debug!(%error, "group not looked after");
            None
        });
    Ok(looked)
}

impl Seen {
    fn take(&mut self, looked: Looked) -> Result<(), Stall> {
        for topic in looked.missing.difference(&self.missing) {
            error!(topic, "a topic that this service consumes does not exist");
        }
        let back = self.missing.difference(&looked.missing).next().cloned();
        if let Some(topic) = &back {
            info!(topic, "a topic that did not exist is there");
        }
        self.missing = looked.missing;
        self.nobodys = looked.nobodys;
        let grown = self.grown(looked.partitions);
        if let Some(replaced) = looked.replaced {
            return Err(replaced);
        }
        grown.map_or(Ok(()), |topic| {
            info!(topic, "a topic has more partitions");
            Err(Stall::TopicGrown(topic))
        })
    }

    fn grown(&mut self, partitions: BTreeMap<String, usize>) -> Option<String> {
        let before = std::mem::take(&mut self.partitions);
        let more = |(topic, now): (&String, &usize)| {
            before
                .get(topic)
                .is_some_and(|before| now > before)
                .then(|| topic.clone())
        };
        let grown = partitions.iter().find_map(more);
        self.partitions = before;
        self.partitions.extend(partitions);
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(missing: &[&str]) -> Looked {
        Looked {
            missing: missing.iter().map(ToString::to_string).collect(),
            ..Looked::default()
        }
    }

    #[test]
    fn more_partitions_are_noticed_once() {
        let mut seen = Seen::default();
        let with = |number| Looked {
            partitions: BTreeMap::from([("t".to_owned(), number)]),
            ..Looked::default()
        };
        assert_eq!(seen.take(with(6)), Ok(()));
        assert_eq!(seen.take(Looked::default()), Ok(()), "not answered");
        assert_eq!(seen.take(with(12)), Err(Stall::TopicGrown("t".to_owned())));
        assert_eq!(seen.take(with(12)), Ok(()));
    }

    #[test]
    fn a_topic_that_is_not_there_is_named_until_it_is() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(looked(&["t"])), Ok(()));
        assert_eq!(seen.missing.first().map(String::as_str), Some("t"));
        assert_eq!(seen.take(looked(&[])), Ok(()));
        assert!(seen.missing.is_empty());
    }
}
