//! What a service tells operators of itself is so.

use std::collections::BTreeMap;

use contracts::Topic;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use messaging::operations::Counts;

use crate::broker::{Broker, Sent};
use crate::relaying::{CONFIRMED, append};
use crate::tally::{Fortune, Script, listening, running_errands};
use crate::world::{Database, Running, Setup, until};

fn listened() -> String {
    Topic::OrderCreated.name().to_owned()
}

async fn assigned(service: &Running) -> Vec<i32> {
    let mut status = service.operations.status().await;
    status.assigned_partitions.remove(&listened()).unwrap()
}

async fn lag(service: &Running) -> Option<i64> {
    service.operations.status().await.lag[&listened()]
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_and_lag_are_told_as_they_are_and_what_is_not_known_is_not_zero() {
    let broker = Broker::bare().await;
    let mut database = Database::create().await;
    let start = || Setup::new(&broker, &database).start(listening());
    let one = start();
    until("the broker is seen", async || one.broker.is_up()).await;
    let status = one.operations.status().await;
    assert_eq!(status.lag, BTreeMap::from([(listened(), None)]));
    assert_eq!(status.assigned_partitions, BTreeMap::from([(listened(), vec![])]));
    let told = serde_json::to_value(&status).unwrap();
    assert!(told["lag"]["order.created"].is_null());
    assert_eq!(one.metric("messaging_consumer_lag"), 0);

    broker.make_topics().await;
    until("all partitions are its own", async || {
        assigned(&one).await == [0, 1, 2]
    })
    .await;
    until("nothing is behind", async || lag(&one).await == Some(0)).await;

    // a second replica: they share the partitions, and none is told twice
    let two = start();
    until("they share", async || {
        let (mut mine, other) = (assigned(&one).await, assigned(&two).await);
        let shared = !mine.is_empty() && !other.is_empty();
        mine.extend(other);
        mine.sort_unstable();
        shared && mine == [0, 1, 2]
    })
    .await;
    two.stop().await;
    until("all are its own again", async || {
        assigned(&one).await == [0, 1, 2]
    })
    .await;

    // what it cannot take in is told
    let mut other = AsyncPgConnection::establish(&database.url).await.unwrap();
    let lock = "begin; lock table tally in access exclusive mode";
    other.batch_execute(lock).await.unwrap();
    let events: Vec<Sent> = (0..5).map(|_| Sent::new(chassis::clock::new_id(), "1")).collect();
    broker.produce(&events).await;
    until("five are behind", async || lag(&one).await == Some(5)).await;
    other.batch_execute("commit").await.unwrap();
    until("it has caught up", async || lag(&one).await == Some(0)).await;
    assert_eq!(database.number("select count(*) from tally").await, 5);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_deaths_and_refusals_are_counted_for_what_they_are() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let script = Script::new();
    script.plan("errand", &[Fortune::Fails, Fortune::Panics, Fortune::Fails]);
    script.plan("errand hopeless", &[Fortune::Fails; 4]);
    script.plan("errand later", &[Fortune::IsOut; 2]);
    let order = chassis::clock::new_id();
    let labels = ["errand", "errand hopeless", "errand later", "announce"];
    let mut events: Vec<Sent> = labels.iter().map(|label| Sent::new(order, label)).collect();
    events.push(events[3].clone());
    broker.produce(&events).await;
    for _refused in 0..2 {
        database.execute(&append("no.such.topic", "b", "'lost'")).await;
    }
    database
        .execute(&append(
            CONFIRMED,
            "a",
            "convert_to(repeat('x', 2000000), 'UTF8')",
        ))
        .await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.refusal_retry_ms = 100)
        .start(running_errands(&script));
    service.open_letters(4).await;
    database
        .until_zero("select count(*) from work where state = 'pending'")
        .await;
    database.until_zero("select count(*) from outbox").await;
    until("all is counted", async || {
        service.operations.stats().await.unwrap().counts.published == 1 + 4
    })
    .await;
    let stats = service.operations.stats().await.unwrap();
    let expected = Counts {
        published: 1 + 4,
        consumed: 5,
        duplicates: 1,
        retried: 3 + 3,
        dead_lettered: 1 + 3,
        refused: 3,
    };
    assert_eq!(stats.counts, expected);
    assert_eq!(
        (stats.pending, stats.totals.dead_letters, stats.totals.open),
        (0, 4, 4)
    );
    assert_eq!(service.metric("messaging_retried_total"), 6);
    assert_eq!(service.metric("messaging_attempts_failed_total"), 7);
    assert_eq!(service.metric("messaging_publications_refused_total"), 3);
    let told = serde_json::to_value(stats).unwrap();
    assert_eq!(
        (&told["retried"], &told["totals"]["open"]),
        (&6.into(), &4.into())
    );
    service.stop().await;
}
