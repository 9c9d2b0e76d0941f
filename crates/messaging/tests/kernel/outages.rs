//! The infrastructure goes and comes back: nobody's attempt is counted, nothing is lost, nothing happens twice.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use contracts::{Context, Topic};
use messaging::command::{self, Done};
use stack::postgres::{Options, Postgres};
use uuid::Uuid;

use crate::broker::{Broker, Sent, fact};
use crate::tally::{Tallies, Tally, listening, write_down};
use crate::topic::read;
use crate::world::{Database, Running, SERVICE, Setup, until};

/// A cluster that the story may stop.
struct Cluster {
    postgres: Postgres,
    _port: stack::ports::Lease,
    _directory: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> (Self, Database) {
        let directory = stack::temporary().unwrap();
        let port = stack::ports::lease().unwrap();
        let options = Options::new(directory.path().join("postgres"), port.port());
        let postgres = Postgres::start(options).await.unwrap();
        let url = postgres.ensure_database("order", "secret").await.unwrap();
        let database = Database::at(url).await;
        let cluster = Self {
            postgres,
            _port: port,
            _directory: directory,
        };
        (cluster, database)
    }
}

/// What a request does: the aggregate's row and its announcement in one commit.
pub(crate) async fn place(service: &Running, order: Uuid, label: &str) -> Done<Tally> {
    use diesel_async::AsyncConnection;
    let mut conn = service.conn().await;
    let context = Context {
        now: chassis::clock::now(),
        fresh_id: chassis::clock::new_id(),
        cause_id: chassis::clock::new_id(),
        correlation_id: order,
    };
    let done = conn
        .transaction::<_, anyhow::Error, _>(async |conn| {
            command::execute(&Tallies, conn, SERVICE, order, &context, |tally, context| {
                Ok(write_down(tally, &fact(order, label), context)?)
            })
            .await
        })
        .await
        .unwrap();
    service.signals.committed();
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_and_comes_back_loses_nothing_and_counts_no_attempt() {
    let broker = Broker::start().await;
    let (mut cluster, mut database) = Cluster::start().await;
    let orders: Vec<Uuid> = (0..20).map(|_| chassis::clock::new_id()).collect();
    let send = async |label: &str| {
        let label = format!("announce {label}");
        let events: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, &label)).collect();
        broker.produce(&events).await;
    };
    let service = Setup::new(&broker, &database).start(listening());
    send("1").await;
    for order in &orders {
        database.until_seen(*order, &["announce 1"]).await;
    }

    for label in ["2", "3"] {
        if label == "2" {
            cluster.postgres.stop().await;
        } else {
            cluster.postgres.kill9().await;
        }
        send(label).await;
        until("the service has noticed", async || {
            service.pool.get().await.is_err()
        })
        .await;
        cluster.postgres.restart().await.unwrap();
        database.reconnect().await;
        let begin = Instant::now();
        for order in &orders {
            until("what came meanwhile is processed", async || {
                database.seen(*order).await.last() == Some(&format!("announce {label}"))
            })
            .await;
        }
        println!("caught up {:?} after the restart", begin.elapsed());
    }
    for order in &orders {
        database
            .until_seen(*order, &["announce 1", "announce 2", "announce 3"])
            .await;
    }
    database.until_zero("select count(*) from outbox").await;
    assert_eq!(database.number("select count(*) from work").await, 0);
    assert_eq!(service.metric("messaging_attempts_failed_total"), 0);
    // a batch that Kafka had when the database went is published once more, under the same ids
    let records = read(broker.address(), Topic::OrderConfirmed.name()).await;
    let announced: HashSet<_> = records.iter().map(|record| record.header("ce_id")).collect();
    assert_eq!(announced.len(), orders.len() * 3);
    // it has been a member of its group all the time: nothing was delivered again
    let consumed = service.metric("messaging_client_consumed_messages_total");
    assert_eq!(consumed, (orders.len() * 3));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_database_is_down_is_prompt_and_loses_nothing() {
    let broker = Broker::start().await;
    let (mut cluster, mut database) = Cluster::start().await;
    let service = Setup::new(&broker, &database).start(listening());
    let order = chassis::clock::new_id();
    broker.produce(&[Sent::new(order, "1")]).await;
    database.until_seen(order, &["1"]).await;
    cluster.postgres.stop().await;
    broker.produce(&[Sent::new(order, "2")]).await;
    until("it has been received", async || {
        service.metric("messaging_client_consumed_messages_total") == 2
    })
    .await;
    service.stop().await;

    cluster.postgres.restart().await.unwrap();
    database.reconnect().await;
    let service = Setup::new(&broker, &database).start(listening());
    database.until_seen(order, &["1", "2"]).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_down_commands_go_on_and_their_events_follow_in_order() {
    let mut broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database)
        // the relay starts over several times during the outage
        .limits(|limits| limits.delivery_timeout_ms = 1_000)
        .start(listening());
    let orders: Vec<Uuid> = (0..5).map(|_| chassis::clock::new_id()).collect();
    until("the broker is seen", async || service.broker.is_up()).await;
    place(&service, orders[0], "announce").await;
    database.until_zero("select count(*) from outbox").await;

    broker.kafka.stop().await;
    until("the broker's absence is seen", async || !service.broker.is_up()).await;
    let begin = Instant::now();
    let mut placed = 1;
    while begin.elapsed() < Duration::from_secs(5) || placed < 300 {
        for order in &orders {
            place(&service, *order, "announce").await;
            placed += 1;
        }
    }
    println!("{placed} commands during the outage");
    let waiting = database.number("select count(*) from outbox").await;
    assert_eq!(waiting, placed - 1, "all of them wait in the outbox");
    broker.kafka.restart().await.unwrap();
    let begin = Instant::now();
    database.until_zero("select count(*) from outbox").await;
    println!("outbox drained {:?} after the broker's return", begin.elapsed());
    until("the broker is seen again", async || service.broker.is_up()).await;

    let records = read(broker.address(), Topic::OrderConfirmed.name()).await;
    for order in &orders {
        let of_order = records
            .iter()
            .filter(|record| record.key_text() == order.to_string());
        let mut seen: Vec<u64> = Vec::new();
        for record in of_order {
            let sequence = record.header("ce_sequence").unwrap().parse().unwrap();
            if !seen.contains(&sequence) {
                seen.push(sequence);
            }
        }
        let expected: Vec<u64> = (1..=u64::try_from(seen.len()).unwrap()).collect();
        assert_eq!(seen, expected, "in order, none missing");
        let last = database
            .number(&format!("select sequence from tally where id = '{order}'"))
            .await;
        assert_eq!(seen.len(), last);
    }

    // and the consumer goes on as well
    broker.produce(&[Sent::new(chassis::clock::new_id(), "1")]).await;
    until("an event is consumed", async || {
        database.number("select count(*) from tally").await == 6
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_broker_is_down_is_prompt() {
    let mut broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(listening());
    let order = chassis::clock::new_id();
    broker.produce(&[Sent::new(order, "1")]).await;
    database.until_seen(order, &["1"]).await;
    broker.kafka.kill9().await;
    place(&service, order, "announce").await;
    let begin = Instant::now();
    service.stop().await;
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "took {:?}",
        begin.elapsed()
    );
    assert_eq!(
        database.number("select count(*) from outbox").await,
        1,
        "for the next start"
    );
}
