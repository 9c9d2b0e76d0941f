//! The infrastructure goes and comes back: nobody's attempt is counted, nothing is lost, nothing happens twice.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use contracts::{Context, Topic};
use messaging::command::{self, Done};
use stack::postgres::{Options, Postgres};
use uuid::Uuid;

use crate::broker::{Broker, Sent, fact};
use crate::tally::{Tallies, Tally, listening, write_down};
use crate::topic::read;
use crate::world::{Database, Running, SERVICE, Setup, until};

/// A cluster that the story may stop. It speaks German: nothing is told apart by its words.
struct Cluster {
    postgres: Postgres,
    log: PathBuf,
    _port: stack::ports::Lease,
    _directory: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> (Self, Database) {
        let directory = stack::temporary().unwrap();
        let port = stack::ports::lease().unwrap();
        let mut options = Options::new(directory.path().join("postgres"), port.port());
        "de".clone_into(&mut options.language);
        let log = options.log.clone();
        let postgres = Postgres::start(options).await.unwrap();
        let admin = postgres.admin("postgres").await.unwrap();
        let refused = format!("{:?}", admin.batch_execute("select 1 / 0").await);
        assert!(
            refused.contains("Division durch Null"),
            "PostgreSQL's translations are missing here: {refused}"
        );
        let url = postgres.ensure_database("order", "secret").await.unwrap();
        let database = Database::at(url).await;
        let cluster = Self {
            postgres,
            log,
            _port: port,
            _directory: directory,
        };
        (cluster, database)
    }

    /// How many errors of this code the server has written down.
    fn errors(&self, sqlstate: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.matches(&format!("[{sqlstate}]")).count()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_and_a_deadlock_on_a_server_that_speaks_german_count_no_attempt() {
    let broker = Broker::start().await;
    let (cluster, mut database) = Cluster::start().await;
    let orders = [chassis::clock::new_id(), chassis::clock::new_id()];
    let send = async |label: &str| broker.produce(&orders.map(|order| Sent::new(order, label))).await;
    // the timeout of a statement that waits for a lock comes before the deadlock is looked for, and then after it
    let service = Setup::new(&broker, &database)
        .statement_timeout_ms(300)
        .start(listening());
    send("1").await;
    for order in orders {
        database.until_seen(order, &["1"]).await;
    }
    let mut other = cluster.postgres.admin("order").await.unwrap();
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("lock table tally in access exclusive mode")
        .await
        .unwrap();
    send("2").await;
    until("statements time out", async || cluster.errors("57014") >= 3).await;
    assert!(place_error(&service, orders[0]).await, "to a request it is a 503");
    lock.commit().await.unwrap();
    for order in orders {
        database.until_seen(order, &["1", "2"]).await;
    }
    assert_eq!(service.metric("messaging_attempts_failed_total"), 0);
    service.stop().await;

    let service = Setup::new(&broker, &database).start(listening());
    // the story's own session never looks: the service is the one to be thrown out
    other
        .batch_execute("set deadlock_timeout = '1min'")
        .await
        .unwrap();
    let mut sent = 2;
    while cluster.errors("40P01") == 0 {
        assert!(sent < 20, "no deadlock");
        let lock = other.transaction().await.unwrap();
        let of = |order: Uuid| format!("select 1 from tally where id = '{order}' for update");
        lock.batch_execute(&of(orders[1])).await.unwrap();
        sent += 1;
        send(&sent.to_string()).await;
        let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        until("the service waits", async || database.number(waits).await > 0).await;
        lock.batch_execute(&of(orders[0])).await.unwrap();
        lock.commit().await.unwrap();
    }
    let labels: Vec<String> = (1..=sent).map(|label| label.to_string()).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    for order in orders {
        database.until_seen(order, &labels).await;
    }
    assert_eq!(service.metric("messaging_attempts_failed_total"), 0);
    assert_eq!(database.number("select count(*) from work").await, 0);
    service.stop().await;
}

/// Whether a request that touches the order is answered with 503.
async fn place_error(service: &Running, order: Uuid) -> bool {
    let mut conn = service.conn().await;
    let error = diesel_async::RunQueryDsl::execute(
        diesel::sql_query(format!("select 1 from tally where id = '{order}'")),
        &mut conn,
    )
    .await
    .unwrap_err();
    assert_eq!(chassis::database::sqlstate(&error), Some("57014"), "{error}");
    chassis::problem::Problem::from(error).code() == chassis::problem::Code::Unavailable
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_changes_its_type_under_a_running_service_counts_no_attempt() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(listening());
    let orders: Vec<Uuid> = (0..10).map(|_| chassis::clock::new_id()).collect();
    let mut expected = Vec::new();
    for (round, change) in [
        "select 1",
        "alter table tally alter column seen type varchar(200)[]",
        "alter table tally alter column seen type text[]",
        "alter table outbox alter column topic type varchar(200)",
        "alter table outbox alter column topic type text",
    ]
    .into_iter()
    .enumerate()
    {
        database.execute(change).await;
        let label = format!("announce {round}");
        let events: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, &label)).collect();
        broker.produce(&events).await;
        expected.push(label);
        let labels: Vec<&str> = expected.iter().map(String::as_str).collect();
        for order in &orders {
            database.until_seen(*order, &labels).await;
        }
        database.until_zero("select count(*) from outbox").await;
    }
    assert_eq!(database.number("select count(*) from work").await, 0);
    assert_eq!(service.metric("messaging_attempts_failed_total"), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_stays_open_or_prepared_in_another_database_shows_in_the_metrics() {
    let broker = Broker::start().await;
    let (mut cluster, mut database) = Cluster::start().await;
    let admin = cluster.postgres.admin("postgres").await.unwrap();
    admin
        .batch_execute("alter system set max_prepared_transactions = 4")
        .await
        .unwrap();
    drop(admin);
    cluster.postgres.stop().await;
    cluster.postgres.restart().await.unwrap();
    database.reconnect().await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.gauge_interval_ms = 100)
        .start(listening());
    let age = || service.metric("messaging_oldest_transaction_age_seconds");
    let mut elsewhere = cluster.postgres.admin("postgres").await.unwrap();
    let open = elsewhere.transaction().await.unwrap();
    open.query("select pg_current_xact_id()::text", &[])
        .await
        .unwrap();
    until("its age is seen to grow", async || age() >= 2).await;
    open.commit().await.unwrap();
    until("it is gone", async || age() == 0).await;

    let prepare = "create table forgotten (id int); begin; insert into forgotten values (1); prepare transaction 'forgotten'";
    elsewhere.batch_execute(prepare).await.unwrap();
    until("a prepared one is seen, too", async || age() >= 2).await;
    elsewhere
        .batch_execute("rollback prepared 'forgotten'")
        .await
        .unwrap();
    until("that one is gone as well", async || age() == 0).await;
    service.stop().await;
}
