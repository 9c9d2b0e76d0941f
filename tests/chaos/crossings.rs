//! Every fail point of the services is crossed by a real abort of a real process under load, several times; those on the
//! way out once by each service.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use acceptance::turn;
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::chaos::Load;
use stack::{Service, Stack};
use uuid::Uuid;

use crate::migrations::dies_under_the_lock;
use crate::plan::{LANES, STOPS};
use crate::settled::balance;

/// How long a process may take to come to its point.
const PATIENCE: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;
/// Orders a second: a good part of what these builds manage on two cores between one abort and the next. What is more than
/// they manage only makes customers queue and ask again, and tells nothing about crashes.
const RATE: f64 = 8.0;
/// Fewer orders than this mean that there was no load to speak of.
const ORDERS_MIN: usize = 300;

/// How often each point is crossed; `QUADRILLE_CROSSINGS` says otherwise.
#[expect(clippy::disallowed_methods, reason = "a longer run of the same test")]
fn times() -> usize {
    std::env::var("QUADRILLE_CROSSINGS").map_or(2, |times| times.parse().unwrap())
}

/// A service that aborts again and again.
struct Lane {
    service: Service,
    /// What it still has to cross, the current one first.
    points: VecDeque<&'static str>,
    since: Instant,
}

#[tokio::test]
async fn every_fail_point_is_crossed_by_real_aborts_and_nothing_is_lost_or_done_twice() {
    let _turn = turn().await;
    let begin = Instant::now();
    let mut stack = Box::pin(impatient().build()).await.unwrap();
    let load = Load::begin(&stack, RATE, 1).await.unwrap();
    let mut crossed: BTreeMap<(Service, &str), usize> = BTreeMap::new();
    let mut lanes: Vec<Lane> = LANES
        .iter()
        .map(|(service, points)| Lane::new(*service, points))
        .collect();
    for lane in &mut lanes {
        stack.kill9(lane.service).await;
        lane.arm(&mut stack, 0);
    }
    let poison: FutureProducer = stack::kafka::client(stack.brokers()).create().unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut last_poison = Instant::now();
    while !lanes.is_empty() {
        tick.tick().await;
        if last_poison.elapsed() > Duration::from_millis(400) {
            last_poison = Instant::now();
            spoil(&poison).await;
        }
        for lane in &mut lanes {
            let Some(point) = lane.has_crossed(&mut stack).await else {
                continue;
            };
            *crossed.entry((lane.service, point)).or_default() += 1;
            lane.points.pop_front();
            lane.arm(&mut stack, crossed.values().sum());
        }
        lanes.retain(|lane| !lane.points.is_empty());
    }
    for service in Service::ALL {
        for point in STOPS {
            stop_at(&mut stack, service, point).await;
            *crossed.entry((service, point)).or_default() += 1;
        }
        // a migration that is started beside the running service, and broken off
        for _again in 0..times() {
            dies_under_the_lock(service, stack.database_url(service)).await;
            *crossed.entry((service, "migration.locked")).or_default() += 1;
        }
    }
    let placed = load.end(Duration::from_secs(60)).await.unwrap();
    let crossings: usize = crossed.values().sum();
    println!("{crossings} aborts in {:?}: {crossed:?}", begin.elapsed());
    println!("asked again: {:?}", placed.repeated);
    assert!(
        placed.accepted.len() > ORDERS_MIN,
        "only {} orders were accepted meanwhile",
        placed.accepted.len()
    );
    balance(&stack, &placed).await;
}

/// Nothing here waits long for somebody who is dead.
fn impatient() -> stack::platform::Builder {
    Stack::builder()
        .env("QUADRILLE__LOG__FILTER", "warn")
        .env("QUADRILLE__MESSAGING__SESSION_TIMEOUT_MS", "2000")
        .env("QUADRILLE__MESSAGING__ACTION_LEASE_MS", "8000")
        .service_env(Service::Notification, "QUADRILLE__WEBHOOKS__TIMEOUT_MS", "2000")
        .service_env(Service::Notification, "QUADRILLE__EMAIL__TIMEOUT_MS", "2000")
        .service_env(Service::Payment, "QUADRILLE__PROVIDER__TIMEOUT_MS", "1500")
        .service_env(Service::Payment, "QUADRILLE__PROVIDER__BOOKS_TIMEOUT_MS", "1000")
        .service_env(Service::Payment, "QUADRILLE__SIMULATOR__SLOW_MS", "500")
        .service_env(Service::Order, "QUADRILLE__SAGA__DEADLINE_S", "20")
}

impl Lane {
    fn new(service: Service, points: &[&'static str]) -> Self {
        let each = |point: &&'static str| std::iter::repeat_n(*point, times());
        Self {
            service,
            points: points.iter().flat_map(each).collect(),
            since: Instant::now(),
        }
    }

    /// Starts the service armed for the next point, which it passes a few times first; unarmed after the last.
    fn arm(&mut self, stack: &mut Stack, turn: usize) {
        let armed = self.points.front().map(|point| match turn % 3 {
            0 => format!("{point}=return"),
            passes => format!("{point}={passes}*off->return"),
        });
        stack.set_env(self.service, "FAILPOINTS", armed.as_deref());
        stack.launch(self.service).unwrap();
        self.since = Instant::now();
    }

    /// The point, once the process has died at it.
    async fn has_crossed(&mut self, stack: &mut Stack) -> Option<&'static str> {
        let point = *self.points.front()?;
        let Some(exit) = stack.death(self.service, Duration::ZERO).await else {
            assert!(
                self.since.elapsed() < PATIENCE,
                "{} did not come to {point}:\n{}",
                self.service,
                stack.log_tail(self.service.name(), 20)
            );
            return None;
        };
        died_at(stack, self.service, point, exit);
        Some(point)
    }
}

/// Tells a running service to stop; it aborts on its way out.
async fn stop_at(stack: &mut Stack, service: Service, point: &str) {
    stack.kill9(service).await;
    stack.set_env(service, "FAILPOINTS", Some(&format!("{point}=return")));
    stack.start(service).await.unwrap();
    stack.stop(service).await;
    let exit = stack.death(service, PATIENCE).await.expect("it ended");
    died_at(stack, service, point, exit);
    stack.set_env(service, "FAILPOINTS", None);
    stack.start(service).await.unwrap();
}

/// By SIGABRT, and by no other's than the fail point's.
fn died_at(stack: &Stack, service: Service, point: &str, exit: std::process::ExitStatus) {
    let tail = stack.log_tail(service.name(), 10);
    assert_eq!(
        exit.signal(),
        Some(SIGABRT),
        "{service} at {point} ended with {exit}:\n{tail}"
    );
    assert!(
        tail.contains(&format!("fail point {point}: abort")),
        "{service} at {point}:\n{tail}"
    );
}

/// A record that nobody can read: it is parked, tried again, and dies.
async fn spoil(producer: &FutureProducer) {
    let key = Uuid::new_v4().to_string();
    let record = FutureRecord::to("order.created").key(&key).payload("no event");
    producer.send(record, Duration::from_secs(5)).await.unwrap();
}
