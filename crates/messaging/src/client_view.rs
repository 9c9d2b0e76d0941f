//! A consumer client as it describes itself: statistics, assignment, what it owes the group. One that is made anew gets a
//! view of its own, and what the old one still has to say is ignored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::statistics::{Broker, Statistics};
use tokio::time::Instant;

use crate::assigned::Assigned;
use crate::offsets::Owed;
use crate::supervision::Stall;

/// Statistics come every second; a client that misses so much is silent.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// A fetch is answered after 50 ms even when there is nothing; a broker that is silent for so long has not.
const UNANSWERED_AFTER: Duration = Duration::from_secs(5);

/// One consumer client.
#[derive(Default)]
pub(crate) struct ClientView {
    pub(crate) assigned: Assigned,
    pub(crate) owed: Owed,
    reported: Mutex<Option<Reported>>,
    retired: AtomicBool,
}

/// What matters of the last statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reported {
    at: Instant,
    /// Brokers that metadata has named.
    brokers: usize,
    /// The state of the group membership while it is not settled.
    unsettled: Option<String>,
    /// A partition that it has and that no broker answers for.
    unanswered: Option<String>,
}

impl ClientView {
    /// Takes statistics in; false when this client is not the one that counts any more.
    pub(crate) fn report(&self, statistics: &Statistics) -> bool {
        if self.is_retired() {
            return false;
        }
        let reported = Reported::of(statistics, &self.assigned, Instant::now());
        *self.reported.lock().unwrap_or_else(PoisonError::into_inner) = Some(reported);
        true
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether the client does what it is for. While it is paused nothing is fetched.
    pub(crate) fn progress(&self, now: Instant, paused: bool) -> Result<(), Stall> {
        let reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reported) = reported
            .as_ref()
            .filter(|reported| now.saturating_duration_since(reported.at) < SILENT_AFTER)
        else {
            return Err(Stall::Silent);
        };
        if reported.brokers == 0 {
            return Err(Stall::NoBroker);
        }
        if let Some(state) = &reported.unsettled {
            return Err(Stall::NotJoined(state.clone()));
        }
        match &reported.unanswered {
            Some(partition) if !paused => Err(Stall::NotFetching(partition.clone())),
            Some(_) | None => Ok(()),
        }
    }
}

impl Reported {
    fn of(statistics: &Statistics, assigned: &Assigned, at: Instant) -> Self {
        // bootstrap addresses and the group's coordinator are listed as well, under no number
        let numbered = |broker: &&Broker| broker.nodeid >= 0;
        let brokers = statistics.brokers.values().filter(numbered).count();
        let unsettled = statistics.cgrp.as_ref().and_then(|group| {
            let settled = group.state == "up" && group.join_state == "steady";
            (!settled).then(|| format!("{}, {}", group.state, group.join_state))
        });
        Self {
            at,
            brokers,
            unsettled,
            unanswered: unanswered(statistics, assigned),
        }
    }
}

/// A partition that is this client's, and whose leader is unknown, away or silent.
fn unanswered(statistics: &Statistics, assigned: &Assigned) -> Option<String> {
    let answers = |leader: i32| {
        let leader = |broker: &&Broker| broker.nodeid >= 0 && broker.nodeid == leader;
        statistics.brokers.values().find(leader).is_some_and(|broker| {
            let idle = u64::try_from(broker.rxidle).map(Duration::from_micros);
            broker.state == "UP" && idle.is_ok_and(|idle| idle < UNANSWERED_AFTER)
        })
    };
    for (name, topic) in &statistics.topics {
        for number in assigned.of(name) {
            let answered = topic
                .partitions
                .get(&number)
                .is_some_and(|partition| answers(partition.broker));
            if !answered {
                return Some(format!("{name}/{number}"));
            }
        }
    }
    None
}

/// The view of the client that is at work; clones share it.
#[derive(Clone, Default)]
pub(crate) struct CurrentView(Arc<RwLock<Arc<ClientView>>>);

impl CurrentView {
    pub(crate) fn get(&self) -> Arc<ClientView> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another client's in its place.
    pub(crate) fn replace(&self, view: Arc<ClientView>) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, view).retire();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rdkafka::TopicPartitionList;
    use rdkafka::statistics::{ConsumerGroup, Partition, Topic};

    use super::*;

    fn broker(nodeid: i32, state: &str, idle_ms: i64) -> Broker {
        Broker {
            nodeid,
            state: state.to_owned(),
            rxidle: idle_ms * 1_000,
            ..Broker::default()
        }
    }

    fn statistics(brokers: Vec<Broker>, join_state: &str) -> Statistics {
        let partition = Partition {
            broker: 1,
            ..Partition::default()
        };
        let topic = Topic {
            topic: "t".to_owned(),
            partitions: HashMap::from([(0, partition)]),
            ..Topic::default()
        };
        let group = ConsumerGroup {
            state: "up".to_owned(),
            join_state: join_state.to_owned(),
            ..ConsumerGroup::default()
        };
        Statistics {
            brokers: (0..).map(|n: u32| n.to_string()).zip(brokers).collect(),
            topics: HashMap::from([("t".to_owned(), topic)]),
            cgrp: Some(group),
            ..Statistics::default()
        }
    }

    fn holding(partition: Option<i32>) -> ClientView {
        let view = ClientView::default();
        let mut list = TopicPartitionList::new();
        if let Some(partition) = partition {
            list.add_partition("t", partition);
        }
        view.assigned.add(&list);
        view
    }

    fn after(view: &ClientView, statistics: &Statistics, paused: bool) -> Result<(), Stall> {
        assert!(view.report(statistics));
        view.progress(Instant::now(), paused)
    }

    #[test]
    fn a_client_that_reads_and_one_that_stands_by_are_well() {
        let well = statistics(vec![broker(-1, "UP", 0), broker(1, "UP", 60)], "steady");
        assert_eq!(after(&holding(Some(0)), &well, false), Ok(()));
        let idle = statistics(vec![broker(1, "UP", 60_000)], "steady");
        assert_eq!(
            after(&holding(None), &idle, false),
            Ok(()),
            "rightfully without partitions"
        );
        assert_eq!(
            after(&holding(Some(0)), &idle, true),
            Ok(()),
            "paused, so nothing is fetched"
        );
    }

    #[test]
    fn what_a_client_lacks_is_named() {
        let coordinator_only = statistics(vec![broker(-1, "UP", 0)], "init");
        assert_eq!(
            after(&holding(None), &coordinator_only, false),
            Err(Stall::NoBroker)
        );
        let joining = statistics(vec![broker(1, "UP", 0)], "wait-join");
        assert_eq!(
            after(&holding(None), &joining, false),
            Err(Stall::NotJoined("up, wait-join".to_owned()))
        );
        for leader in [broker(1, "DOWN", 60), broker(1, "UP", 6_000), broker(2, "UP", 0)] {
            let silent = statistics(vec![leader], "steady");
            assert_eq!(
                after(&holding(Some(0)), &silent, false),
                Err(Stall::NotFetching("t/0".to_owned()))
            );
        }
        assert_eq!(holding(None).progress(Instant::now(), false), Err(Stall::Silent));
    }

    #[test]
    fn a_retired_client_has_no_say() {
        let current = CurrentView::default();
        let old = current.get();
        current.replace(Arc::default());
        assert!(!old.report(&statistics(vec![], "steady")));
        assert!(!current.get().is_retired());
    }
}
