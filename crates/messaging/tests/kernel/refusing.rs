//! Records that Kafka refuses, for ever or for a while: none of their key passes them, and nobody else pays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use contracts::Topic;
use diesel_async::SimpleAsyncConnection;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use crate::broker::Broker;
use crate::relaying::{CONFIRMED, append, confirmed, limit, noise};
use crate::tally::listening;
use crate::topic::{Read, read};
use crate::world::{Database, Setup, until};

const OUTBOX: &str = "select count(*) from outbox";
const LETTERS: &str =
    "select error_class || ' ' || coalesce(convert_from(key, 'UTF8'), '-') from work order by id";
const LATE: &str = "late.topic";
/// A topic that nobody uses here, with one partition.
const LONE: &str = "payment.failed.dlq";

/// A record that says its number, and is larger than `kilobytes`.
fn numbered(topic: &str, key: &str, number: usize, kilobytes: usize) -> String {
    let bytes = format!("convert_to('{number:04} ', 'UTF8') || {}", noise(kilobytes));
    append(topic, key, &bytes)
}

/// The same without a key: a compacted topic refuses it.
fn keyless(topic: &str) -> String {
    numbered(topic, "-", 0, 1).replace("convert_to('-', 'UTF8')", "null")
}

/// The numbers of each key's records, as they lie in its partition.
fn numbers(records: &[Read]) -> BTreeMap<String, Vec<usize>> {
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for record in records {
        let payload = record.payload.as_deref().unwrap();
        let number = std::str::from_utf8(&payload[..4]).unwrap().parse().unwrap();
        by_key
            .entry(record.key_text().to_owned())
            .or_default()
            .push(number);
    }
    by_key
}

async fn commit(database: &mut Database, rows: &[String]) {
    let transaction = format!("begin; {}; commit", rows.join(";"));
    database.conn().batch_execute(&transaction).await.unwrap();
}

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    stack::kafka::client(broker.address()).create().unwrap()
}

/// Where a client in Java places a key: `Utils.toPositive(Utils.murmur2(key)) % partitions`.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ u32::try_from(key.len()).unwrap();
    let (blocks, rest) = key.as_chunks::<4>();
    for block in blocks {
        let mut word = u32::from_le_bytes(*block).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let bytes = rest.iter().rev();
        hash ^= bytes.fold(0, |word, byte| (word << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The values that Kafka's own tests hold `Utils.murmur2` to.
#[test]
fn the_hash_of_these_tests_is_javas() {
    for (key, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refused_batch_no_record_passes_an_earlier_one_of_its_key() {
    let (keys, each) = (60, 4);
    let broker = Broker::start().await;
    limit(&broker, 20_000).await;
    let rows: Vec<String> = (0..keys * each)
        .map(|row| numbered(CONFIRMED, &format!("key {}", row % keys), row / keys, 2))
        .collect();
    let in_order: BTreeMap<String, Vec<usize>> = (0..keys)
        .map(|key| (format!("key {key}"), (0..each).collect()))
        .collect();

    // batches of the client are larger than the topic's limit: many are refused, and one record among them is to blame
    let mut database = Database::create().await;
    let mut misfits = rows.clone();
    misfits.insert(keys * each / 2, numbered(CONFIRMED, "key 0", 9, 50));
    commit(&mut database, &misfits).await;
    let service = Setup::new(&broker, &database).start(listening());
    database.until_zero(OUTBOX).await;
    let first = confirmed(&broker).await;
    assert_eq!(numbers(&first), in_order);
    assert_eq!(database.texts(LETTERS).await, ["record-too-large key 0"]);
    assert!(service.metric("messaging_publications_doubted_total") > 0);
    until("the misfit is told", async || {
        service.metric("messaging_topic_misfit") == 1
    })
    .await;
    service.stop().await;

    // limits that fit: no batch is refused
    let mut database = Database::create().await;
    commit(&mut database, &rows).await;
    let fitting = Setup::new(&broker, &database).limits(|limits| limits.record_max_bytes = 18_000);
    let service = fitting.start(listening());
    database.until_zero(OUTBOX).await;
    let both = confirmed(&broker).await;
    assert_eq!(both.len(), 2 * keys * each);
    for numbers in numbers(&both).values() {
        assert_eq!(numbers[each..], numbers[..each], "{numbers:?}");
    }
    assert_eq!(service.metric("messaging_publications_doubted_total"), 0);
    assert_eq!(service.metric("messaging_topic_misfit"), 0);
    for record in &both {
        let key = record.key.as_deref().unwrap();
        let partition = (murmur2(key) & 0x7fff_ffff) % 3;
        assert_eq!(
            u32::try_from(record.partition),
            Ok(partition),
            "{}",
            record.key_text()
        );
    }
    service.stop().await;
}

/// The topic takes no record without a key.
async fn compact(broker: &Broker, topic: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("cleanup.policy", "compact");
    // it must live until it has answered
    let admin = admin(broker);
    admin
        .alter_configs([&change], &AdminOptions::new())
        .await
        .unwrap();
    let producer: FutureProducer = stack::kafka::client(broker.address()).create().unwrap();
    until("records without a key are refused", async || {
        let record = FutureRecord::<str, str>::to(topic).payload("probe");
        producer.send(record, Timeout::Never).await.is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_condemns_none_of_its_batch() {
    let broker = Broker::start().await;
    compact(&broker, LONE).await;
    let mut database = Database::create().await;
    for bad in [1, 2] {
        let mut rows: Vec<String> = (0..20)
            .map(|row| numbered(LONE, &format!("key {}", row % 5), row / 5, 1))
            .collect();
        for place in 0..bad {
            rows.insert(2 + 5 * place, keyless(LONE));
        }
        commit(&mut database, &rows).await;
    }
    let service = Setup::new(&broker, &database).start(listening());
    database.until_zero(OUTBOX).await;
    let mut records = read(broker.address(), LONE).await;
    records.retain(|record| record.key.is_some());
    let found = numbers(&records);
    assert_eq!(found.len(), 5);
    for (key, numbers) in found {
        assert_eq!(numbers, [0, 1, 2, 3, 0, 1, 2, 3], "{key}");
    }
    assert_eq!(database.texts(LETTERS).await, ["invalid-record -"; 3]);
    service.stop().await;
}

async fn make(broker: &Broker, topic: &str) {
    let new = NewTopic::new(topic, 2, TopicReplication::Fixed(1));
    let admin = admin(broker);
    let made = admin.create_topics([&new], &AdminOptions::new()).await;
    made.unwrap().remove(0).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_for_a_while_gets_its_records_in_order() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database).start(listening());
    let held = || service.metric("messaging_relay_topic_held") == 1;
    for round in 0..2 {
        let base = round * 10;
        let mut rows: Vec<String> = (0..8)
            .map(|row| numbered(LATE, &format!("key {}", row % 2), base + row / 2, 1))
            .collect();
        // of a key that waits, and of one that does not
        rows.push(numbered(CONFIRMED, "key 0", base, 1));
        rows.push(numbered(CONFIRMED, "other", base, 1));
        commit(&mut database, &rows).await;
        until("the topic is held", async || held()).await;
        until("other keys flow", async || {
            numbers(&confirmed(&broker).await)
                .get("other")
                .is_some_and(|numbers| numbers.last() == Some(&base))
        })
        .await;
        assert_eq!(
            database.number(OUTBOX).await,
            9,
            "nothing of a key that waits has passed"
        );
        make(&broker, LATE).await;
        let begin = Instant::now();
        database.until_zero(OUTBOX).await;
        println!("published {:?} after the topic was made", begin.elapsed());
        assert!(!held());
        let expected: Vec<usize> = (base..base + 4).collect();
        let late = numbers(&read(broker.address(), LATE).await);
        assert_eq!(late["key 0"], expected);
        assert_eq!(late["key 1"], expected);
        // deleted and made anew under a running relay
        if round == 0 {
            let deleted = admin(&broker);
            deleted
                .delete_topics(&[LATE], &AdminOptions::new())
                .await
                .unwrap();
        }
    }
    assert_eq!(numbers(&confirmed(&broker).await)["key 0"], [0, 10]);
    assert_eq!(database.number("select count(*) from work").await, 0);
    assert_eq!(service.metric("messaging_dead_letters_total"), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_stays_away_is_given_up_after_the_bound_and_not_before() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let bound = Duration::from_secs(2);
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.refusal_retry_ms = 2_000)
        .start(listening());
    let rows = [
        numbered("no.such.topic", "key", 1, 1),
        numbered("no.such.topic", "key", 2, 1),
        numbered(CONFIRMED, "key", 3, 1),
    ];
    let begin = Instant::now();
    commit(&mut database, &rows).await;
    database.until_zero(OUTBOX).await;
    assert!(begin.elapsed() >= bound, "{:?}", begin.elapsed());
    assert_eq!(database.texts(LETTERS).await, ["unknown-topic key"; 2]);
    assert_eq!(numbers(&confirmed(&broker).await)["key"], [3]);
    let letters = read(broker.address(), Topic::OrderDeadLetters.name()).await;
    assert_eq!(letters.len(), 2);
    service.stop().await;
}
