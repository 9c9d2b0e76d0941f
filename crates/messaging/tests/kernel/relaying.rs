//! The relay: one leader, no row forgotten, every key in order, nothing that holds up the rest.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use contracts::Topic;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use uuid::Uuid;

use crate::broker::Broker;
use crate::outages::place;
use crate::tally::listening;
use crate::topic::{Read, read};
use crate::world::{Database, Setup, until};

/// Longer than the relay takes to look twice for its low-water mark.
const LOOKED: Duration = Duration::from_millis(1_100);
pub(crate) const CONFIRMED: &str = "order.confirmed";
/// The connection that has the relay's lock.
const LEADER: &str =
    "select pid from pg_locks where locktype = 'advisory' and granted and objid = x'61640001'::int
    and database = (select oid from pg_database where datname = current_database())";

/// A statement that appends a record to the outbox.
pub(crate) fn append(topic: &str, key: &str, bytes: &str) -> String {
    let id = chassis::clock::new_id();
    format!(
        "insert into outbox (event_id, topic, key, headers, payload)
         values ('{id}', '{topic}', convert_to('{key}', 'UTF8'), '[[\"n\", \"1\"]]', {bytes})"
    )
}

/// Bytes that do not compress, as SQL.
pub(crate) fn noise(kilobytes: usize) -> String {
    let blocks = kilobytes * 16;
    format!("(select string_agg(sha512(random()::text::bytea), '') from generate_series(1, {blocks}))")
}

const PROBE: &str = "probe";
const PROBE_BYTES: usize = 40_000;

/// How large a batch of records the topic of confirmed orders takes. The broker takes notice in its own time, which shows
/// in records that are sent until one is taken, or refused, as it should be.
pub(crate) async fn limit(broker: &Broker, limit: usize) {
    let admin: AdminClient<DefaultClientContext> = stack::kafka::client(broker.address()).create().unwrap();
    let bytes = limit.to_string();
    let change = AlterConfig::new(ResourceSpecifier::Topic(CONFIRMED)).set("max.message.bytes", &bytes);
    admin
        .alter_configs([&change], &AdminOptions::new())
        .await
        .unwrap();
    let producer: FutureProducer = stack::kafka::client(broker.address()).create().unwrap();
    let body = "x".repeat(PROBE_BYTES);
    until("the limit holds", async || {
        let record = FutureRecord::to(CONFIRMED).key(PROBE).payload(&body);
        let taken = producer.send(record, Timeout::Never).await.is_ok();
        taken == (limit > PROBE_BYTES)
    })
    .await;
}

pub(crate) async fn confirmed(broker: &Broker) -> Vec<Read> {
    let mut records = read(broker.address(), CONFIRMED).await;
    records.retain(|record| record.key_text() != PROBE);
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_leads_and_another_takes_over_when_its_connection_dies() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let start = || Setup::new(&broker, &database).start(listening());
    let replicas = [start(), start()];
    let leads = |replica: usize| replicas[replica].metric("messaging_relay_leads") == 1;
    let leaders = || [leads(0), leads(1)].iter().filter(|leads| **leads).count();
    until("somebody leads", async || leaders() == 1).await;
    let order = chassis::clock::new_id();
    for round in 1..=6_usize {
        place(&replicas[round % 2], order, "announce").await;
        database.until_zero("select count(*) from outbox").await;
        assert_eq!(database.texts(LEADER).await.len(), 1);
        if round % 2 == 0 {
            let killed = format!("select count(pg_terminate_backend(pid)) from ({LEADER}) leader");
            assert_eq!(database.number(&killed).await, 1);
        }
    }
    let [one, two] = replicas;
    let mut sequences: Vec<u64> = confirmed(&broker).await.iter().map(sequence).collect();
    sequences.dedup();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);

    // the leader stops in good order: the other one goes on
    let (leader, other) = if one.metric("messaging_relay_leads") == 1 {
        (one, two)
    } else {
        (two, one)
    };
    leader.stop().await;
    place(&other, order, "announce").await;
    database.until_zero("select count(*) from outbox").await;
    other.stop().await;
}

fn sequence(record: &Read) -> u64 {
    record.header("ce_sequence").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_commits_late_is_published_although_higher_ones_are_gone() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(listening());
    until("the kernel has prepared its tables", async || {
        database.number("select count(*) from pg_inherits").await > 20
            && service.metric("messaging_relay_leads") == 1
    })
    .await;
    let mut slow = AsyncPgConnection::establish(&database.url).await.unwrap();
    slow.batch_execute("begin; insert into tally values (gen_random_uuid(), 1, 1, '{}')")
        .await
        .unwrap();
    slow.batch_execute(&append(CONFIRMED, "late", "'late'"))
        .await
        .unwrap();
    // the relay looks for its mark twice a second: once while this is the newest transaction, then among newer ones
    let begin = std::time::Instant::now();
    until("the relay has looked", async || begin.elapsed() > LOOKED).await;
    let begin = std::time::Instant::now();
    let mut published = 0;
    while begin.elapsed() < 3 * LOOKED {
        database.execute(&append(CONFIRMED, "soon", "'soon'")).await;
        service.signals.committed();
        database.until_zero("select count(*) from outbox").await;
        published += 1;
    }
    slow.batch_execute("commit").await.unwrap();
    database.until_zero("select count(*) from outbox").await;
    let records = confirmed(&broker).await;
    assert_eq!(
        records
            .iter()
            .filter(|record| record.key_text() == "late")
            .count(),
        1
    );
    assert_eq!(records.len(), published + 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_keeps_its_order_under_many_writers() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(listening());
    let orders: Vec<Uuid> = (0..4).map(|_| chassis::clock::new_id()).collect();
    // made first: two that make one at the same time would be told to try again
    for order in &orders {
        place(&service, *order, "announce").await;
    }
    let (writers, each) = (8, 40);
    let requests = (0..writers).map(async |writer| {
        for number in 0..each {
            place(&service, orders[(writer + number) % orders.len()], "announce").await;
        }
    });
    futures::future::join_all(requests).await;
    database.until_zero("select count(*) from outbox").await;
    let mut by_key: HashMap<String, Vec<u64>> = HashMap::new();
    for record in confirmed(&broker).await {
        let key = record.key_text().to_owned();
        by_key.entry(key).or_default().push(sequence(&record));
    }
    let total: usize = by_key.values().map(Vec::len).sum();
    assert_eq!(total, writers * each + orders.len());
    for sequences in by_key.values() {
        assert!(
            sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{sequences:?}"
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_never_takes_is_set_aside_and_the_rest_flows() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.refusal_retry_ms = 100)
        .start(listening());
    let two_megabytes = "convert_to(repeat('x', 2000000), 'UTF8')";
    let batch = [
        append(CONFIRMED, "a", "'1'"),
        append(CONFIRMED, "a", two_megabytes),
        append("no.such.topic", "b", "'lost'"),
        append(CONFIRMED, "a", "'2'"),
        append(CONFIRMED, "b", "'3'"),
    ];
    database.conn().batch_execute(&batch.join(";")).await.unwrap();
    database.until_zero("select count(*) from outbox").await;
    let records = confirmed(&broker).await;
    let of_a: Vec<_> = records.iter().filter(|record| record.key_text() == "a").collect();
    assert_eq!(
        of_a.iter()
            .map(|record| record.payload.as_deref().unwrap())
            .collect::<Vec<_>>(),
        [b"1", b"2"]
    );
    assert_eq!(records.len(), 3);

    let kept = "select kind || ' ' || state || ' ' || error_class || ' ' || length(payload) from work order by error_class";
    assert_eq!(
        database.texts(kept).await,
        [
            "publication dead record-too-large 2000000",
            "publication dead unknown-topic 4"
        ]
    );
    let letters = read(broker.address(), "order.failed.dlq").await;
    let told: BTreeSet<_> = letters
        .iter()
        .map(|letter| {
            (
                letter.header("x-dead-letter-name").unwrap(),
                letter.header("x-error-class").unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        BTreeSet::from([
            (CONFIRMED, "record-too-large"),
            ("no.such.topic", "unknown-topic")
        ])
    );
    assert!(
        letters
            .iter()
            .all(|letter| letter.payload.is_none() && letter.header("n") == Some("1"))
    );
    assert_eq!(service.metric("messaging_dead_letters_total"), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_together_does_not_condemn_its_records() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    limit(&broker, 20_000).await;
    let mut batch: Vec<String> = (0..200).map(|_| append(CONFIRMED, "a", &noise(2))).collect();
    batch.push(append(CONFIRMED, "a", &noise(50)));
    batch.extend((0..10).map(|_| append(CONFIRMED, "b", &noise(2))));
    database
        .conn()
        .batch_execute(&format!("begin; {}; commit", batch.join(";")))
        .await
        .unwrap();
    let hex = "select encode(payload, 'hex') from outbox where length(payload) < 20000";
    let sent: BTreeSet<String> = database.texts(hex).await.into_iter().collect();
    assert_eq!(sent.len(), 210);
    let service = Setup::new(&broker, &database).start(listening());
    database.until_zero("select count(*) from outbox").await;
    // one may be there twice, if its acknowledgement was late
    let found: BTreeSet<String> = confirmed(&broker)
        .await
        .iter()
        .flat_map(|record| &record.payload)
        .map(|payload| payload.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert!(found == sent, "{} of {} records", found.len(), sent.len());
    let classes = "select error_class from work";
    assert_eq!(database.texts(classes).await, ["record-too-large"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_waits_for_kafka_still_notices_that_it_has_lost_the_lead() {
    let mut broker = Broker::start().await;
    let mut database = Database::create().await;
    let start = || Setup::new(&broker, &database).start(listening());
    let replicas = [start(), start()];
    until("somebody leads", async || {
        replicas
            .iter()
            .any(|replica| replica.metric("messaging_relay_leads") == 1)
    })
    .await;
    broker.kafka.stop().await;
    let order = chassis::clock::new_id();
    place(&replicas[0], order, "announce").await;
    let pid = database.number(LEADER).await;
    database
        .number(&format!("select pg_terminate_backend({pid})::int"))
        .await;
    until("the lead is another connection's", async || {
        let holders = database.texts(LEADER).await;
        holders.len() == 1 && holders[0] != pid.to_string()
    })
    .await;
    until("there is one leader", async || {
        replicas
            .iter()
            .filter(|replica| replica.metric("messaging_relay_leads") == 1)
            .count()
            == 1
    })
    .await;
    broker.kafka.restart().await.unwrap();
    database.until_zero("select count(*) from outbox").await;
    for replica in replicas {
        replica.stop().await;
    }
    let ids: BTreeSet<_> = read(broker.address(), Topic::OrderConfirmed.name())
        .await
        .iter()
        .map(|record| record.header("ce_id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
}
