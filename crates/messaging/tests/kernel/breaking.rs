//! A handler that fails for key after key is broken: consumption pauses and probes, and nothing becomes a dead letter for
//! it. What is wrong with single messages is their own all the same.

use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::tally::{Ill, cure, infect, listening};
use crate::world::{Database, Running, Setup, until};

/// Keys that fail in a row before the breaker opens.
const KEYS: usize = 5;

fn start(broker: &Broker, database: &Database) -> Running {
    Setup::new(broker, database)
        .limits(|limits| {
            limits.breaker_keys = KEYS;
            limits.breaker_probe_ms = 20;
            limits.backoff_max_ms = 50;
            // five keys have failed long before the first of them has four times
            limits.retry_delays_ms = vec![500; 3];
        })
        .start(listening())
}

fn orders(count: usize, ill: Option<Ill>) -> Vec<Uuid> {
    let order = |_| {
        let order = chassis::clock::new_id();
        if let Some(ill) = ill {
            infect(order, ill);
        }
        order
    };
    (0..count).map(order).collect()
}

fn of(orders: &[Uuid], label: &str) -> Vec<Sent> {
    orders.iter().map(|order| Sent::new(*order, label)).collect()
}

async fn is_open(service: &Running) {
    until("the breaker is open", async || {
        service.operations.status().await.breaker == "open"
    })
    .await;
    assert_eq!(service.metric("messaging_breaker_open"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_fails_for_every_key_pauses_consumption_until_it_is_mended() {
    // a bug in the handler; a database that refuses whatever the handler writes
    for ill in [Ill::Panics, Ill::BreaksConstraint] {
        let broker = Broker::start().await;
        let mut database = Database::create().await;
        let orders = orders(40, Some(ill));
        broker.produce(&of(&orders, "1")).await;
        broker.produce(&of(&orders, "2")).await;
        let service = start(&broker, &database);
        is_open(&service).await;
        until("consumption pauses", async || {
            service.operations.status().await.consumption == "paused"
        })
        .await;
        // each probe parks one message, and each is tried more often than there are retries
        let probed = "select count(distinct key) from work";
        until("many were tried", async || {
            database.number(probed).await > 3 * KEYS
        })
        .await;
        assert_eq!(service.metric("messaging_dead_letters_total"), 0);
        let counted = "select count(*) from work where attempts > 0";
        assert!(
            database.number(counted).await < KEYS,
            "only what failed before it opened"
        );

        for order in &orders {
            cure(*order);
        }
        for order in &orders {
            database.until_seen(*order, &["1", "2"]).await;
        }
        let status = service.operations.status().await;
        assert_eq!((status.breaker, status.consumption), ("closed", "running"));
        assert_eq!(status.pending, Some(0));
        assert_eq!(service.metric("messaging_dead_letters_total"), 0);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_poisoned_messages_holds_up_nobody_and_dies_while_others_succeed() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let poisoned = orders(3 * KEYS, Some(Ill::Panics));
    broker.produce(&of(&poisoned, "1")).await;
    let service = start(&broker, &database);
    is_open(&service).await;
    let dead = "select count(*) from work where state = 'dead'";
    until("all of the poisoned are given up", async || {
        let healthy = orders(1, None);
        broker.produce(&of(&healthy, "1")).await;
        database.until_seen(healthy[0], &["1"]).await;
        database.number(dead).await == poisoned.len()
    })
    .await;
    assert_eq!(service.operations.status().await.breaker, "closed");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_read_does_not_open_it() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let unreadable: Vec<Sent> = of(&orders(4 * KEYS, None), "1")
        .into_iter()
        .map(|sent| Sent {
            payload: Some(b"no JSON".to_vec()),
            ..sent
        })
        .collect();
    broker.produce(&unreadable).await;
    let service = start(&broker, &database);
    let dead = "select count(*) from work where state = 'dead'";
    until("they are given up", async || {
        database.number(dead).await == unreadable.len()
    })
    .await;
    assert_eq!(service.metric("messaging_breaker_open"), 0);
    service.stop().await;
}
