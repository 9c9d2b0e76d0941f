//! Every event takes effect once, in the order of its key, and offsets follow the database.

use contracts::Topic;
use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::tally::listening;
use crate::topic::read;
use crate::world::{Database, Setup, until};

const DELIVERIES: usize = 100;

fn orders(count: usize) -> Vec<Uuid> {
    (0..count).map(|_| chassis::clock::new_id()).collect()
}

fn times(events: &[Sent], count: usize) -> Vec<Sent> {
    vec![events; count].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_delivered_a_hundred_times_takes_effect_once() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let orders = orders(10);
    let events: Vec<Sent> = orders
        .iter()
        .flat_map(|order| ["announce 1", "announce 2"].map(|label| Sent::new(*order, label)))
        .collect();
    broker.produce(&times(&events, DELIVERIES / 2)).await;
    let service = Setup::new(&broker, &database).start(listening());
    for order in &orders {
        database.until_seen(*order, &["announce 1", "announce 2"]).await;
    }

    // the rest comes while the service is stopped and started again, and to a member that starts from the beginning
    for round in 0..3 {
        broker.produce(&times(&events, DELIVERIES / 6)).await;
        let name = format!("order-{round}");
        let other = Setup::new(&broker, &database).service(&name).start(listening());
        until("everything is consumed again", async || {
            other.metric("messaging_client_consumed_messages_total") >= (events.len() * DELIVERIES / 2)
        })
        .await;
        other.stop().await;
    }
    let last = Sent::new(orders[0], "last");
    broker.produce(std::slice::from_ref(&last)).await;
    database
        .until_seen(orders[0], &["announce 1", "announce 2", "last"])
        .await;
    for order in &orders[1..] {
        assert_eq!(database.seen(*order).await, ["announce 1", "announce 2"]);
    }
    database.until_zero("select count(*) from outbox").await;
    let announced = read(broker.address(), Topic::OrderConfirmed.name()).await;
    assert_eq!(announced.len(), events.len(), "announced once each");
    assert!(service.metric("messaging_duplicates_total") > 0);
    assert_eq!(database.number("select count(*) from work").await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_read_whatever_their_producer_compresses_them_with() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(listening());
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let orders = orders(50);
        let events: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, codec)).collect();
        broker.produce_with(codec, &events).await;
        for order in &orders {
            database.until_seen(*order, &[codec]).await;
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_graceful_stop_nothing_is_delivered_again() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let orders = orders(50);
    let first: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, "first")).collect();
    broker.produce(&first).await;
    let service = Setup::new(&broker, &database).start(listening());
    for order in &orders {
        database.until_seen(*order, &["first"]).await;
    }
    service.stop().await;

    let service = Setup::new(&broker, &database).start(listening());
    let second: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, "second")).collect();
    broker.produce(&second).await;
    for order in &orders {
        database.until_seen(*order, &["first", "second"]).await;
    }
    let consumed = service.metric("messaging_client_consumed_messages_total");
    assert_eq!(consumed, second.len(), "only what is new");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_work_and_each_event_takes_effect_once() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let one = Setup::new(&broker, &database).start(listening());
    let orders = orders(30);
    let labels: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    for (number, label) in labels.iter().enumerate() {
        let events: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, label)).collect();
        broker.produce(&events).await;
        if number == 5 {
            // joins and leaves in the middle
            let two = Setup::new(&broker, &database).start(listening());
            until("the second has a share", async || {
                two.metric("messaging_client_consumed_messages_total") > 0 || {
                    broker.produce(&events).await;
                    false
                }
            })
            .await;
            two.stop().await;
        }
    }
    for order in &orders {
        database.until_seen(*order, &labels).await;
    }
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_before_its_topics_finds_them() {
    let broker = Broker::bare().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(listening());
    until("the broker is seen", async || service.broker.is_up()).await;
    broker.make_topics().await;
    let order = chassis::clock::new_id();
    broker.produce(&[Sent::new(order, "1")]).await;
    database.until_seen(order, &["1"]).await;
    service.stop().await;
}
