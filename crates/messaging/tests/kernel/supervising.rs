//! Clients that make no progress are made anew, and what they did is gone on with: nothing is lost, nothing happens twice.

use std::sync::{Arc, Mutex};

use chassis::Tasks;
use chrono::TimeDelta;
use contracts::Topic;
use contracts::events::OrderCreated;
use messaging::metrics::KernelMetrics;
use messaging::{Broadcast, MessagingSettings};
use prometheus_client::registry::Registry;
use stack::chaos::change;
use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::outages::place;
use crate::tally::listening;
use crate::topic::{committed, read};
use crate::world::{Database, SERVICE, Setup, settings, until, value};

fn impatient() -> MessagingSettings {
    MessagingSettings {
        client_stall_ms: 2_000,
        health_grace_ms: 1_000,
        ..settings()
    }
}

/// The counter of one kind of client, whatever the reasons.
fn renewed(client: &str) -> String {
    format!("messaging_clients_renewed_total{{client=\"{client}\"")
}

async fn new_orders(broker: &Broker, label: &str) -> Vec<Uuid> {
    let orders: Vec<Uuid> = (0..20).map(|_| chassis::clock::new_id()).collect();
    let events: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, label)).collect();
    broker.produce(&events).await;
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_make_no_progress_are_made_anew_and_go_on_where_they_were() {
    let mut broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| *limits = impatient())
        .start(listening());
    let heard = Arc::<Mutex<Vec<Uuid>>>::default();
    let (writing, tail_metrics) = (heard.clone(), KernelMetrics::default());
    let mut registry = Registry::default();
    tail_metrics.register(&mut registry);
    let tail = Broadcast::new(broker.address(), "test", &impatient(), tail_metrics).unwrap();
    let tasks = Tasks::new();
    tasks.spawn("tail", move |stop| {
        let hear = move |order: OrderCreated| writing.lock().unwrap().push(order.order_id.uuid());
        tail.run(TimeDelta::hours(1), hear, || {}, stop)
    });
    let mut orders = new_orders(&broker, "announce 1").await;
    for order in &orders {
        database.until_seen(*order, &["announce 1"]).await;
    }

    // away for longer than any client has patience
    broker.kafka.kill9().await;
    let pending = chassis::clock::new_id();
    place(&service, pending, "announce meanwhile").await;
    for client in ["consumer", "producer"] {
        until(&format!("the {client} is made anew"), async || {
            service.metric(&renewed(client)) >= 1
        })
        .await;
    }
    until("the tail is made anew", async || {
        value(&registry, &renewed("tail")) >= 1
    })
    .await;
    let status = service.operations.status().await;
    let consumer = serde_json::to_value(status.consumer.unwrap()).unwrap();
    assert_eq!(
        (&consumer["status"], &consumer["state"]),
        (&"degraded".into(), &"waiting".into())
    );

    broker.kafka.restart().await.unwrap();
    orders.extend(new_orders(&broker, "announce 2").await);
    for order in &orders {
        until("each is processed once", async || {
            database.seen(*order).await.len() == 1
        })
        .await;
    }
    until("it is well again", async || {
        let consumer = service.operations.status().await.consumer.unwrap();
        serde_json::to_value(consumer).unwrap()["state"] == "assigned"
    })
    .await;
    database.until_zero("select count(*) from outbox").await;
    let published = read(broker.address(), Topic::OrderConfirmed.name()).await;
    let of_pending = published
        .iter()
        .filter(|record| record.header("ce_subject") == Some(pending.to_string().as_str()));
    assert_eq!(of_pending.count(), 1);
    assert_eq!(database.number("select count(*) from work").await, 0);
    until("the tail has heard all, none twice", async || {
        let mut heard = heard.lock().unwrap().clone();
        heard.sort();
        let mut all = orders.clone();
        all.sort();
        heard == all
    })
    .await;
    tasks.finish(std::time::Duration::from_secs(10)).await;
    service.stop().await;
}

/// librdkafka would go on in the new topic from the position that it had in the old one, and pass over what is before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_at_once_is_read_from_its_beginning() {
    let (broker, proxy) = Broker::start_proxied().await;
    let mut database = Database::create().await;
    let address = format!("127.0.0.1:{}", proxy.port());
    let service = Setup::new(&broker, &database)
        .brokers(&address)
        .start(listening());
    // of the last batch was committed what is known to have had an offset before
    for batch in 1..=3 {
        new_orders(&broker, "announce 1").await;
        until("the group has committed the batch", async || {
            committed(broker.address(), SERVICE, Topic::OrderCreated.name()).await == 20 * batch
        })
        .await;
    }

    // for a moment, shorter than the group would miss it, the service sees nothing of what happens
    proxy.hold(true);
    change::delete_topic(broker.address(), Topic::OrderCreated)
        .await
        .unwrap();
    change::make_topic(broker.address(), Topic::OrderCreated, 3)
        .await
        .unwrap();
    let mut orders = Vec::new();
    for _ in 0..12 {
        orders.extend(new_orders(&broker, "announce 2").await);
    }
    proxy.hold(false);
    for order in &orders {
        database.until_seen(*order, &["announce 2"]).await;
    }
    let replaced = format!("{},reason=\"topic_replaced\"", renewed("consumer"));
    assert!(service.metric(&replaced) >= 1);
    service.stop().await;
}
