//! A message's own failure: it is parked, its key waits behind it, everything else flows.

use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::tally::{Ill, cure, infect, listening};
use crate::world::{Database, Setup, until};

const ILLNESSES: [Ill; 6] = [
    Ill::Rejected,
    Ill::Panics,
    Ill::BreaksConstraint,
    Ill::HasNul,
    Ill::LoadPanics,
    Ill::SavesNothing,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_message_holds_up_its_own_key_only() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let ill: Vec<Uuid> = ILLNESSES
        .iter()
        .map(|illness| {
            let order = chassis::clock::new_id();
            infect(order, *illness);
            order
        })
        .collect();
    let healthy: Vec<Uuid> = (0..40).map(|_| chassis::clock::new_id()).collect();
    // in one batch: the ill among the healthy, three messages each
    let batch: Vec<Sent> = ["1", "2", "3"]
        .iter()
        .flat_map(|label| ill.iter().chain(&healthy).map(|order| Sent::new(*order, label)))
        .collect();
    broker.produce(&batch).await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.retry_delays_ms = vec![60_000; 3])
        .start(listening());

    for order in &healthy {
        database.until_seen(*order, &["1", "2", "3"]).await;
    }
    let parked = ill.len() * 3;
    until("the ill are parked", async || {
        database.number("select count(*) from work").await == parked
    })
    .await;
    let failed = "select count(*) from work where attempts = 1 and headers @> '[[\"x-retry-count\", \"1\"]]'";
    assert_eq!(database.number(failed).await, ill.len());
    let behind = "select count(*) from work where attempts = 0 and error_class is null
        and not exists (select 1 from jsonb_array_elements(headers) header where header->>0 = 'x-retry-count')";
    assert_eq!(database.number(behind).await, ill.len() * 2);
    let classes = "select distinct error_class from work where attempts = 1 order by 1";
    assert_eq!(
        database.texts(classes).await,
        ["conflict", "database", "not-now", "panic"]
    );
    assert_eq!(service.metric("messaging_attempts_failed_total"), ill.len());

    // a later one waits too, although nothing is wrong any more
    for order in &ill {
        cure(*order);
    }
    let later: Vec<Sent> = ill.iter().map(|order| Sent::new(*order, "4")).collect();
    broker.produce(&later).await;
    until("the later ones are parked behind", async || {
        database.number("select count(*) from work").await == parked + ill.len()
    })
    .await;
    database.execute("update work set next_attempt_at = now()").await;
    for order in &ill {
        database.until_seen(*order, &["1", "2", "3", "4"]).await;
    }
    database.until_zero("select count(*) from work").await;

    // and then the key flows straight through again
    let after: Vec<Sent> = ill.iter().map(|order| Sent::new(*order, "5")).collect();
    broker.produce(&after).await;
    for order in &ill {
        database.until_seen(*order, &["1", "2", "3", "4", "5"]).await;
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_counted_and_a_message_that_gets_well_in_time_is_no_dead_letter() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let order = chassis::clock::new_id();
    infect(order, Ill::BreaksConstraint);
    broker
        .produce(&[Sent::new(order, "1"), Sent::new(order, "2")])
        .await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.retry_delays_ms = vec![50, 50, 60_000])
        .start(listening());
    until("two retries have failed", async || {
        database
            .number(
                "select count(*) from work where attempts = 3 and headers @> '[[\"x-retry-count\", \"3\"]]'",
            )
            .await
            == 1
    })
    .await;
    cure(order);
    database.execute("update work set next_attempt_at = now()").await;
    database.until_seen(order, &["1", "2"]).await;
    database.until_zero("select count(*) from work").await;
    assert_eq!(service.metric("messaging_dead_letters_total"), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_of_a_topic_that_was_made_anew_is_not_taken_for_an_old_one() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let order = chassis::clock::new_id();
    infect(order, Ill::Rejected);
    let dead = "select count(*) from work where state = 'dead'";
    let mut brokers = vec![broker];
    for failed in 1..=2 {
        let broker = brokers.pop().unwrap();
        let service = Setup::new(&broker, &database)
            .limits(|limits| limits.retry_delays_ms = vec![])
            .start(listening());
        // the same key: at the same place of either broker
        broker.produce(&[Sent::new(order, "1")]).await;
        until("it is dead", async || database.number(dead).await == failed).await;
        service.stop().await;
        brokers.push(Broker::start().await);
    }
    let places = "select distinct origin_offset || ' of ' || origin_partition from work";
    assert_eq!(database.texts(places).await.len(), 1);
}
