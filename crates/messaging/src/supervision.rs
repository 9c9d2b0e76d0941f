//! Long-lived Kafka clients are watched by their progress. One that has made none for too long is dropped and made anew,
//! whatever the reason: librdkafka has states that it never leaves by itself, such as knowing no broker at all after a
//! broker was starved of CPU for a while.

use std::fmt;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tokio::time::Instant;
use tracing::warn;

use crate::metrics::KernelMetrics;

/// How often a client's progress is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A longer time between two looks at a consumer is not its fault: nobody polled it meanwhile.
const GAP: Duration = Duration::from_secs(3);
/// The bound is doubled for each client in a row that made no progress, up to this often.
const DOUBLED_MAX: u32 = 3;

/// Which client it is, as metrics and logs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// A member of the service's consumer group.
    Consumer,
    /// The relay's producer.
    Producer,
    /// A reader of a whole topic.
    Tail,
}

impl Client {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Producer => "producer",
            Self::Tail => "tail",
        }
    }
}

/// Why a client makes no progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stall {
    /// An error that librdkafka calls fatal: this client does nothing any more.
    Fatal(RDKafkaErrorCode, String),
    /// It says nothing about itself.
    Silent,
    /// Its metadata names no broker.
    NoBroker,
    /// It is not a member of its group; the state it is in instead.
    NotJoined(String),
    /// Its group has not finished a rebalance, for which the broker waits as long as any member may take.
    Rebalancing(String),
    /// A partition that no member of its settled group has.
    Nobodys(String),
    /// The broker does not answer for a partition that it has.
    NotFetching(String),
    /// There is more of a partition that it has, and it does not come.
    NotReading {
        /// The partition, and the offset that is next.
        place: String,
        /// What the client last said.
        trouble: Option<String>,
    },
    /// The broker does not answer it.
    NoAnswer(String),
    /// A topic that it has read was deleted, or made anew.
    TopicReplaced(String),
    /// A topic has more partitions than when this client joined its group. librdkafka notices that as well, and then
    /// leaves some of them to nobody.
    TopicGrown(String),
}

impl Stall {
    /// Every label.
    pub(crate) const LABELS: [&'static str; 11] = [
        "fatal_error",
        "silent",
        "no_broker",
        "not_joined",
        "rebalancing",
        "unassigned",
        "not_fetching",
        "not_reading",
        "no_answer",
        "topic_replaced",
        "topic_grown",
    ];

    /// For a metric's label: one of a fixed set.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Fatal(..) => "fatal_error",
            Self::Silent => "silent",
            Self::NoBroker => "no_broker",
            Self::NotJoined(_) => "not_joined",
            Self::Rebalancing(_) => "rebalancing",
            Self::Nobodys(_) => "unassigned",
            Self::NotFetching(_) => "not_fetching",
            Self::NotReading { .. } => "not_reading",
            Self::NoAnswer(_) => "no_answer",
            Self::TopicReplaced(_) => "topic_replaced",
            Self::TopicGrown(_) => "topic_grown",
        }
    }

    /// Whether it is not the client that fails: what it reads has become another thing. That is told once, so the next
    /// client must not be waited with.
    const fn is_of_topic(&self) -> bool {
        match self {
            Self::TopicReplaced(_) | Self::TopicGrown(_) => true,
            Self::Fatal(..)
            | Self::Silent
            | Self::NoBroker
            | Self::NotJoined(_)
            | Self::Rebalancing(_)
            | Self::Nobodys(_)
            | Self::NotFetching(_)
            | Self::NotReading { .. }
            | Self::NoAnswer(_) => false,
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fatal(code, text) => write!(f, "fatal error {code:?}: {text}"),
            Self::Silent => f.write_str("the client reports nothing"),
            Self::NoBroker => f.write_str("the client knows no broker"),
            Self::NotJoined(state) => write!(f, "not a member of the consumer group ({state})"),
            Self::Rebalancing(state) => {
                write!(f, "the consumer group has not finished a rebalance ({state})")
            }
            Self::Nobodys(partition) => write!(f, "no member of the consumer group has {partition}"),
            Self::NotFetching(partition) => write!(f, "the broker does not answer for {partition}"),
            Self::NotReading { place, trouble: None } => write!(f, "{place} is not read on"),
            Self::NotReading {
                place,
                trouble: Some(trouble),
            } => {
                write!(f, "{place} is not read on: {trouble}")
            }
            Self::NoAnswer(error) => write!(f, "the broker does not answer: {error}"),
            Self::TopicReplaced(topic) => write!(f, "topic {topic} was deleted or made anew"),
            Self::TopicGrown(topic) => write!(f, "topic {topic} has more partitions"),
        }
    }
}

/// Decides when a client is made anew.
#[derive(Debug)]
pub(crate) struct Watchdog {
    client: Client,
    bound: Duration,
    /// … and how long in a rebalance.
    rebalancing: Duration,
    /// How often the bound is doubled.
    doubled: u32,
    /// How long there has been no progress.
    stalled: Duration,
    looked: Option<Instant>,
}

impl Watchdog {
    /// `bound` is how long a client may be without progress.
    pub(crate) const fn new(client: Client, bound: Duration) -> Self {
        Self {
            client,
            bound,
            rebalancing: bound,
            doubled: 0,
            stalled: Duration::ZERO,
            looked: None,
        }
    }

    /// How long a rebalance may take, when that is longer.
    pub(crate) fn rebalancing(self, rebalancing: Duration) -> Self {
        Self {
            rebalancing: rebalancing.max(self.bound),
            ..self
        }
    }

    /// Takes in how the client is now. True when it is to be made anew; that is logged and counted here.
    pub(crate) fn is_due(
        &mut self,
        now: Instant,
        progress: &Result<(), Stall>,
        metrics: &KernelMetrics,
    ) -> bool {
        let since = self.looked.map_or(Duration::ZERO, |looked| now - looked);
        self.looked = Some(now);
        let Err(stall) = progress else {
            self.stalled = Duration::ZERO;
            self.doubled = 0;
            return false;
        };
        // a producer and a tail are looked at by asking, and the time until there is no answer counts
        if since <= GAP || self.client != Client::Consumer {
            self.stalled += since;
        }
        let fatal = matches!(stall, Stall::Fatal(..)) && self.doubled == 0;
        let bound = if matches!(stall, Stall::Rebalancing(_)) {
            self.rebalancing
        } else {
            self.bound
        };
        let overdue = self.stalled >= bound.saturating_mul(1 << self.doubled);
        if !(overdue || fatal || stall.is_of_topic()) {
            return false;
        }
        let (kafka_client, waited_ms) = (self.client.label(), self.stalled.as_millis());
        warn!(kafka.client = kafka_client, waited_ms, reason = %stall, "kafka client makes no progress, making it anew");
        metrics.client_renewed(self.client, stall);
        self.stalled = Duration::ZERO;
        if !stall.is_of_topic() {
            self.doubled = (self.doubled + 1).min(DOUBLED_MAX);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every second for so long, and says after how many seconds the client was made anew.
    fn renewed(watchdog: &mut Watchdog, now: &mut Instant, seconds: u64, stall: Option<Stall>) -> Vec<u64> {
        let progress = stall.map_or(Ok(()), Err);
        let metrics = KernelMetrics::default();
        let mut renewed = Vec::new();
        for second in 1..=seconds {
            *now += LOOK_EVERY;
            if watchdog.is_due(*now, &progress, &metrics) {
                renewed.push(second);
            }
        }
        renewed
    }

    fn watchdog() -> Watchdog {
        Watchdog::new(Client::Consumer, Duration::from_secs(10))
    }

    #[test]
    fn a_client_without_progress_is_made_anew_less_and_less_often() {
        let (mut watchdog, mut now) = (watchdog(), Instant::now());
        watchdog.is_due(now, &Err(Stall::NoBroker), &KernelMetrics::default());
        let renewed_at = renewed(&mut watchdog, &mut now, 250, Some(Stall::NoBroker));
        assert_eq!(renewed_at, [10, 30, 70, 150, 230]);
        // progress makes up for it
        assert!(renewed(&mut watchdog, &mut now, 1, None).is_empty());
        assert_eq!(renewed(&mut watchdog, &mut now, 10, Some(Stall::Silent)), [10]);
    }

    #[test]
    fn time_in_which_nobody_polled_does_not_count() {
        let (mut watchdog, mut now) = (watchdog(), Instant::now());
        assert!(renewed(&mut watchdog, &mut now, 9, Some(Stall::Silent)).is_empty());
        now += Duration::from_secs(300);
        assert_eq!(renewed(&mut watchdog, &mut now, 3, Some(Stall::Silent)), [3]);
    }

    #[test]
    fn a_rebalance_may_take_as_long_as_a_member_may() {
        let (mut watchdog, mut now) = (watchdog().rebalancing(Duration::from_secs(55)), Instant::now());
        let joining = || Some(Stall::Rebalancing("up, wait-join".to_owned()));
        assert_eq!(renewed(&mut watchdog, &mut now, 60, joining()), [56]);
    }

    #[test]
    fn a_question_that_is_not_answered_for_long_counts_in_full() {
        for (client, due) in [
            (Client::Producer, true),
            (Client::Tail, true),
            (Client::Consumer, false),
        ] {
            let (mut watchdog, metrics) = (
                Watchdog::new(client, Duration::from_secs(10)),
                KernelMetrics::default(),
            );
            let (begin, unanswered) = (Instant::now(), Err(Stall::NoAnswer("timed out".to_owned())));
            assert!(!watchdog.is_due(begin, &unanswered, &metrics));
            assert!(!watchdog.is_due(begin + Duration::from_secs(6), &unanswered, &metrics));
            assert_eq!(
                watchdog.is_due(begin + Duration::from_secs(12), &unanswered, &metrics),
                due
            );
        }
    }

    #[test]
    fn another_topic_is_not_waited_for_however_often_clients_have_failed() {
        let (mut watchdog, mut now) = (watchdog(), Instant::now());
        assert_eq!(renewed(&mut watchdog, &mut now, 11, Some(Stall::Silent)), [11]);
        let grown = || Some(Stall::TopicGrown("t".to_owned()));
        assert_eq!(renewed(&mut watchdog, &mut now, 1, grown()), [1]);
        assert_eq!(
            renewed(&mut watchdog, &mut now, 20, Some(Stall::Silent)),
            [20],
            "doubled once"
        );
    }

    #[test]
    fn a_fatal_error_is_not_waited_for_but_a_second_one_is() {
        let fatal = || {
            Some(Stall::Fatal(
                RDKafkaErrorCode::FencedInstanceId,
                "fenced".to_owned(),
            ))
        };
        let (mut watchdog, mut now) = (watchdog(), Instant::now());
        assert_eq!(renewed(&mut watchdog, &mut now, 22, fatal()), [1, 21]);
    }
}
