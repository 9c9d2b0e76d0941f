//! The read fence: tells a service's timer whether its consumer group, all replicas together, has processed everything
//! that was on its topics at some instant.
//!
//! At that instant the end offsets of all partitions are noted. The group commits offsets only after the database has
//! committed, so once its committed offsets have reached the noted ends, whatever was on the topics at the instant has had
//! its effect or is parked in `work`, whichever replica read it. Kafka is asked for both, not this replica's consumer: a
//! standby without partitions may ask, timestamps of records and clocks of other machines do not matter, and a consumer
//! that has stopped without knowing it cannot give a wrong answer.

mod answer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::clock;
use chrono::{DateTime, Utc};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use thiserror::Error;
use tracing::debug;

use crate::MessagingSettings;
use crate::broker::broadcast_config;
use crate::kafka_log;
use crate::retry::Backoff;
use answer::{Answer, Offsets, Place, ask};

/// A client that was not needed for so long is closed; the next question makes a new one.
const IDLE: Duration = Duration::from_secs(60);

/// A client needs a moment to find the broker and the group's coordinator. One that fails is kept until it is so old, and
/// made anew after that.
const YOUNG: Duration = Duration::from_secs(10);

/// The client that asks. It joins no group, whatever its `group.id`.
type Kafka = BaseConsumer<Watch>;

/// Why it is not known how far the group has read.
#[derive(Debug, Error)]
pub enum FenceError {
    /// Kafka did not answer, or not in time.
    #[error("kafka does not tell how far the group has read: {0}")]
    Kafka(#[from] KafkaError),
    /// Kafka answered, and knows no broker: it is starting, or starved.
    #[error("kafka answers without any broker")]
    NoBroker,
    /// The group has read a topic that Kafka does not know at present.
    #[error("kafka does not know {0}, which the group has read")]
    TopicUnknown(String),
    /// The task that asked died.
    #[error("the question to kafka was broken off")]
    BrokenOff,
    /// A question failed a moment ago, and the next one has to wait.
    #[error("kafka is asked again in a moment")]
    BackingOff,
    /// Kafka answers again, and others may still have to publish what they could not while it did not.
    #[error("kafka has not answered for long enough")]
    Settling,
}

/// One consumer group's read fence. It keeps one fence at a time: a new one is set up once the one before has been passed,
/// so that a steady stream of records cannot put it off for ever.
pub struct ReadFence {
    config: ClientConfig,
    topics: Arc<[String]>,
    timeout: Duration,
    settle: Duration,
    client: Option<Client>,
    backoff: Backoff,
    not_before: Option<Instant>,
    answering: Answering,
    fence: Option<Fence>,
    passed: Option<DateTime<Utc>>,
}

/// Whether Kafka answers.
#[derive(Debug, Clone, Copy)]
enum Answering {
    Steadily,
    No,
    AgainSince(Instant),
}

struct Client {
    kafka: Arc<Kafka>,
    made_at: Instant,
    used_at: Instant,
}

/// Takes the client's errors to the log.
struct Watch;

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka_log::write(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(error = %error, reason, "kafka client of the read fence reports an error");
    }
}

impl ConsumerContext for Watch {}

impl ReadFence {
    /// For the consumer group `group` and its `topics`. One question takes no longer than `timeout`; after one that failed
    /// the next waits as `settings` say for infrastructure (`backoff_min_ms` to `backoff_max_ms`), and no new fence is set up
    /// before Kafka has answered for `settle`: what others said meanwhile lies in their outboxes.
    pub(crate) fn new(
        brokers: &str,
        group: &str,
        topics: impl IntoIterator<Item = String>,
        timeout: Duration,
        settle: Duration,
        settings: &MessagingSettings,
    ) -> Self {
        Self {
            config: broadcast_config(brokers, group, settings),
            topics: topics.into_iter().collect(),
            timeout,
            settle,
            client: None,
            backoff: Backoff::new(settings),
            not_before: None,
            answering: Answering::Steadily,
            fence: None,
            passed: None,
        }
    }

    /// Everything that was on the topics at this instant has been processed; none while that is not known of any instant.
    #[must_use]
    pub fn passed(&self) -> Option<DateTime<Utc>> {
        self.passed
    }

    /// Asks Kafka, and answers [`Self::passed`] as it is then. While a fence has not been passed, it is the one that is
    /// asked about; otherwise a new one is set up at the present.
    ///
    /// # Errors
    /// [`FenceError`]: nothing new is known. A client that fails though it has had time to connect is made anew.
    pub async fn advance(&mut self) -> Result<Option<DateTime<Utc>>, FenceError> {
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(FenceError::BackingOff);
        }
        // before the question: whatever was on a topic at this instant is below the end that is answered
        let now = clock::now();
        match self.ask().await {
            Ok(answer) => {
                self.backoff.reset();
                self.not_before = None;
                if self.is_settling() && self.fence.is_none() {
                    return Err(FenceError::Settling);
                }
                Ok(self.learn(now, &answer))
            }
            Err(error) => {
                self.answering = Answering::No;
                if self
                    .client
                    .as_ref()
                    .is_some_and(|client| client.made_at.elapsed() > YOUNG)
                {
                    self.close();
                }
                self.not_before = Some(Instant::now() + self.backoff.wait());
                Err(error)
            }
        }
    }

    /// Closes a client that has not been needed for a while. To be called now and then while there is nothing to ask.
    pub fn rest(&mut self) {
        if self
            .client
            .as_ref()
            .is_some_and(|client| client.used_at.elapsed() > IDLE)
        {
            self.close();
        }
    }

    /// Kafka has just answered: whether it has not done so for long enough.
    fn is_settling(&mut self) -> bool {
        let since = match self.answering {
            Answering::Steadily => return false,
            Answering::No => Instant::now(),
            Answering::AgainSince(since) => since,
        };
        let settling = since.elapsed() < self.settle;
        self.answering = if settling {
            Answering::AgainSince(since)
        } else {
            Answering::Steadily
        };
        settling
    }

    fn learn(&mut self, now: DateTime<Utc>, answer: &Answer) -> Option<DateTime<Utc>> {
        let mut fence = self.fence.take().unwrap_or_else(|| Fence::at(now, answer));
        fence.drop_read(answer);
        if fence.unread.is_empty() {
            self.passed = Some(fence.at);
        } else {
            debug!(
                partitions = fence.unread.len(),
                "the read fence is not passed yet"
            );
            self.fence = Some(fence);
        }
        self.passed
    }

    async fn ask(&mut self) -> Result<Answer, FenceError> {
        let kafka = self.client()?;
        let topics = self.topics.clone();
        let awaited: Vec<Place> = self
            .fence
            .iter()
            .flat_map(|fence| fence.unread.keys().cloned())
            .collect();
        let until = Instant::now() + self.timeout;
        let asked = tokio::task::spawn_blocking(move || ask(&kafka, &topics, &awaited, until));
        asked.await.map_err(|_died| FenceError::BrokenOff)?
    }

    fn client(&mut self) -> Result<Arc<Kafka>, FenceError> {
        let now = Instant::now();
        if let Some(client) = &mut self.client {
            client.used_at = now;
            return Ok(client.kafka.clone());
        }
        let kafka: Arc<Kafka> = Arc::new(self.config.create_with_context(Watch)?);
        self.client = Some(Client {
            kafka: kafka.clone(),
            made_at: now,
            used_at: now,
        });
        Ok(kafka)
    }

    fn close(&mut self) {
        if let Some(client) = self.client.take() {
            drop_apart(client.kafka);
        }
    }
}

impl Drop for ReadFence {
    fn drop(&mut self) {
        self.close();
    }
}

/// Closing may wait for the broker, and nobody shall wait for that.
fn drop_apart(kafka: Arc<Kafka>) {
    std::thread::spawn(move || drop(kafka));
}

/// The ends of all partitions at an instant, without those that have been read that far.
struct Fence {
    at: DateTime<Utc>,
    unread: Offsets,
}

impl Fence {
    fn at(at: DateTime<Utc>, answer: &Answer) -> Self {
        Self {
            at,
            unread: answer.ends.clone(),
        }
    }

    /// Drops the partitions that the group has read up to the fence.
    fn drop_read(&mut self, answer: &Answer) {
        self.unread.retain(|place, end| {
            // what is not there any more (a topic deleted, or made anew with fewer records) cannot be read
            let there = answer.ends.get(place).copied().unwrap_or_default();
            answer.position(place) < there.min(*end)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-30T12:00:00Z";

    /// `(begin, end, committed)` of each partition from 0.
    fn answer(partitions: &[(i64, i64, Option<i64>)]) -> Answer {
        let mut answer = Answer::default();
        for (partition, (begin, end, committed)) in (0..).zip(partitions) {
            let place = ("t".to_owned(), partition);
            answer.begins.insert(place.clone(), *begin);
            answer.ends.insert(place.clone(), *end);
            if let Some(committed) = committed {
                answer.committed.insert(place, *committed);
            }
        }
        answer
    }

    fn is_passed(first: &Answer, then: &Answer) -> bool {
        let mut fence = Fence::at(NOON.parse().unwrap(), first);
        fence.drop_read(first);
        fence.drop_read(then);
        fence.unread.is_empty()
    }

    fn is_passed_at_once(partitions: &[(i64, i64, Option<i64>)]) -> bool {
        is_passed(&answer(partitions), &answer(partitions))
    }

    #[test]
    fn it_is_passed_when_every_partition_has_been_read_to_its_end() {
        assert!(is_passed_at_once(&[(0, 5, Some(5)), (2, 9, Some(9))]));
        assert!(!is_passed_at_once(&[(0, 5, Some(5)), (2, 9, Some(8))]));
        assert!(is_passed_at_once(&[]), "nothing was ever said");
    }

    #[test]
    fn a_partition_without_a_committed_offset_is_unread_unless_there_is_nothing_in_it() {
        assert!(!is_passed_at_once(&[(0, 1, None)]));
        assert!(is_passed_at_once(&[(0, 0, None)]));
        assert!(is_passed_at_once(&[(7, 7, None)]), "retention has emptied it");
        assert!(
            is_passed_at_once(&[(7, 7, Some(3))]),
            "nothing is left of what was not read"
        );
        assert!(!is_passed_at_once(&[(7, 8, Some(3))]));
    }

    #[test]
    fn what_is_said_after_it_was_set_up_does_not_put_it_off() {
        let first = answer(&[(0, 5, Some(3))]);
        assert!(!is_passed(&first, &answer(&[(0, 9, Some(4))])));
        assert!(is_passed(&first, &answer(&[(0, 9, Some(5))])));
    }

    #[test]
    fn what_is_gone_is_not_waited_for() {
        let first = answer(&[(0, 5, Some(3))]);
        assert!(is_passed(&first, &answer(&[])), "the topic was deleted");
        assert!(is_passed(&first, &answer(&[(0, 0, None)])), "it was made anew");
        assert!(
            !is_passed(&first, &answer(&[(0, 2, None)])),
            "it was made anew, and is unread"
        );
    }
}
