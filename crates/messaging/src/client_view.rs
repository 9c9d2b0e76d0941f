//! A consumer client as it describes itself: statistics, assignment, what it owes the group. One that is made anew gets a
//! view of its own, and what the old one still has to say is ignored.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::statistics::{Broker, Partition, Statistics};
use tokio::time::Instant;

use crate::assigned::Assigned;
use crate::offsets::Owed;
use crate::supervision::Stall;

/// Statistics come every second; a client that misses so much is silent.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// A fetch is answered after 50 ms even when there is nothing; a broker that is silent for so long has not.
const UNANSWERED_AFTER: Duration = Duration::from_secs(5);
/// A partition of which there is more, and of which nothing has come for so long, is not read.
const UNREAD_AFTER: Duration = Duration::from_secs(5);
/// What waits to be taken holds fetching back from here on, a good deal below the client's bounds (16 MiB, 100,000).
const FULL_BYTES: u64 = 8 * 1024 * 1024;
const FULL_RECORDS: i64 = 50_000;

/// A partition.
type Place = (String, i32);

/// One consumer client.
#[derive(Default)]
pub(crate) struct ClientView {
    pub(crate) assigned: Assigned,
    pub(crate) owed: Owed,
    reported: Mutex<Option<Reported>>,
    /// What the client last reported while it read.
    trouble: Mutex<Option<String>>,
    retired: AtomicBool,
}

/// What matters of the last statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reported {
    at: Instant,
    /// Brokers that metadata has named.
    brokers: usize,
    /// What the group membership waits for while it is not settled.
    unsettled: Option<Stall>,
    /// A partition that it has and that no broker answers for.
    unanswered: Option<String>,
    /// Partitions of which there is more: the offset that is read next, and since when it is.
    behind: HashMap<Place, (i64, Instant)>,
}

impl ClientView {
    /// Takes statistics in; false when this client is not the one that counts any more.
    pub(crate) fn report(&self, statistics: &Statistics, now: Instant) -> bool {
        if self.is_retired() {
            return false;
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reported
            .take()
            .map(|reported| reported.behind)
            .unwrap_or_default();
        *reported = Some(Reported::of(statistics, &self.assigned, &before, now));
        true
    }

    /// Takes in why something could not be read.
    pub(crate) fn troubled(&self, why: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
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
        if let Some(unsettled) = &reported.unsettled {
            return Err(unsettled.clone());
        }
        if paused {
            return Ok(());
        }
        if let Some(partition) = &reported.unanswered {
            return Err(Stall::NotFetching(partition.clone()));
        }
        match reported.unread(now) {
            None => Ok(()),
            Some(((topic, partition), offset)) => {
                let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                Err(Stall::NotReading {
                    place: format!("{topic}/{partition} from offset {offset}"),
                    trouble: trouble.clone(),
                })
            }
        }
    }
}

impl Reported {
    fn of(
        statistics: &Statistics,
        assigned: &Assigned,
        before: &HashMap<Place, (i64, Instant)>,
        at: Instant,
    ) -> Self {
        // bootstrap addresses and the group's coordinator are listed as well, under no number
        let numbered = |broker: &&Broker| broker.nodeid >= 0;
        let brokers = statistics.brokers.values().filter(numbered).count();
        let unsettled = statistics.cgrp.as_ref().and_then(|group| {
            let settled = group.state == "up" && group.join_state == "steady";
            let state = || format!("{}, {}", group.state, group.join_state);
            match group.join_state.as_str() {
                _ if settled => None,
                // the broker has been asked, and answers when the other members have come
                "wait-join" | "wait-sync" if group.state == "up" => Some(Stall::Rebalancing(state())),
                _ => Some(Stall::NotJoined(state())),
            }
        });
        Self {
            at,
            brokers,
            unsettled,
            unanswered: unanswered(statistics, assigned),
            behind: behind(statistics, assigned, before, at),
        }
    }

    fn unread(&self, now: Instant) -> Option<(&Place, i64)> {
        let unread = |since: Instant| now.saturating_duration_since(since) >= UNREAD_AFTER;
        let mut behind = self.behind.iter();
        behind.find_map(|(place, (offset, since))| unread(*since).then_some((place, *offset)))
    }
}

/// The partitions of this client of which there is more than it has read, unless it has enough to do.
fn behind(
    statistics: &Statistics,
    assigned: &Assigned,
    before: &HashMap<Place, (i64, Instant)>,
    at: Instant,
) -> HashMap<Place, (i64, Instant)> {
    let has_more = |partition: &Partition| {
        let full = partition.fetchq_size >= FULL_BYTES || partition.fetchq_cnt >= FULL_RECORDS;
        !full && partition.next_offset >= 0 && partition.next_offset < partition.ls_offset
    };
    let mut behind = HashMap::new();
    for (name, topic) in &statistics.topics {
        for number in assigned.of(name) {
            let Some(partition) = topic.partitions.get(&number).filter(|found| has_more(found)) else {
                continue;
            };
            let place = (name.clone(), number);
            let since = match before.get(&place) {
                Some((offset, since)) if *offset == partition.next_offset => *since,
                Some(_) | None => at,
            };
            behind.insert(place, (partition.next_offset, since));
        }
    }
    behind
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
    use rdkafka::TopicPartitionList;
    use rdkafka::statistics::{ConsumerGroup, Topic};

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

    fn at(view: &ClientView, statistics: &Statistics, paused: bool, now: Instant) -> Result<(), Stall> {
        assert!(view.report(statistics, now));
        view.progress(now, paused)
    }

    fn after(view: &ClientView, statistics: &Statistics, paused: bool) -> Result<(), Stall> {
        at(view, statistics, paused, Instant::now())
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
        for (join_state, stall) in [
            ("wait-metadata", Stall::NotJoined("up, wait-metadata".to_owned())),
            ("wait-join", Stall::Rebalancing("up, wait-join".to_owned())),
        ] {
            let joining = statistics(vec![broker(1, "UP", 0)], join_state);
            assert_eq!(after(&holding(None), &joining, false), Err(stall));
        }
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
    fn a_partition_of_which_nothing_comes_although_there_is_more_is_not_read() {
        let (view, mut now) = (holding(Some(0)), Instant::now());
        let mut reads = |next_offset: i64, ls_offset: i64, waiting: i64, paused: bool| {
            let partition = Partition {
                broker: 1,
                next_offset,
                ls_offset,
                fetchq_cnt: waiting,
                ..Partition::default()
            };
            let mut statistics = statistics(vec![broker(1, "UP", 60)], "steady");
            let topic = statistics.topics.get_mut("t").unwrap();
            topic.partitions.insert(0, partition);
            now += UNREAD_AFTER;
            at(&view, &statistics, paused, now)
        };
        for next_offset in [3, 4, 9, 9] {
            let read = reads(next_offset, 9, 0, false);
            assert_eq!(read, Ok(()), "it goes on, or is at the end");
        }
        for _ in 0..2 {
            assert_eq!(reads(9, 12, FULL_RECORDS, false), Ok(()), "it has enough");
        }
        assert_eq!(reads(9, 12, 1, false), Ok(()), "it has begun to");
        view.troubled("not to be decompressed".to_owned());
        let not_read = Stall::NotReading {
            place: "t/0 from offset 9".to_owned(),
            trouble: Some("not to be decompressed".to_owned()),
        };
        assert_eq!(reads(9, 12, 1, false), Err(not_read));
        assert_eq!(reads(9, 12, 1, true), Ok(()), "paused");
        assert_eq!(reads(12, 12, 0, false), Ok(()));
    }

    #[test]
    fn a_retired_client_has_no_say() {
        let current = CurrentView::default();
        let old = current.get();
        current.replace(Arc::default());
        assert!(!old.report(&statistics(vec![], "steady"), Instant::now()));
        assert!(!current.get().is_retired());
    }
}
