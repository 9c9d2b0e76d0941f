//! What is given up ends on `<service>.failed.dlq`, as it came and with its story.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{Context, NoAction, Reaction, Rejection, Topic};
use messaging::{Message, Participant};
use uuid::{Builder, Uuid};

use crate::broker::{Broker, Sent};
use crate::tally::{Ill, Tally, infect, listening};
use crate::topic::{Read, read};
use crate::world::{Database, Setup, eventually, until};

const LETTERS: &str = "order.failed.dlq";

async fn letters(broker: &Broker, topic: &str, count: usize) -> Vec<Read> {
    eventually(&format!("{count} dead letters"), async || {
        let letters = read(broker.address(), topic).await;
        assert!(letters.len() <= count, "too many dead letters: {letters:?}");
        (letters.len() == count).then_some(letters)
    })
    .await
}

fn parsed(headers: &BTreeMap<String, String>, name: &str) -> DateTime<Utc> {
    headers[name].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_retries_a_message_is_a_dead_letter_and_its_key_flows_on() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let order = chassis::clock::new_id();
    infect(order, Ill::BreaksConstraint);
    let mut poisoned = Sent::new(order, "1");
    poisoned
        .headers
        .push(("x-binary".to_owned(), Some(vec![0, 159, 146, 150])));
    poisoned.headers.push(("x-none".to_owned(), None));
    poisoned.payload = poisoned.payload.map(|body| [b" \n".as_slice(), &body].concat());
    broker.produce(std::slice::from_ref(&poisoned)).await;
    let service = Setup::new(&broker, &database).start(listening());

    let letter = letters(&broker, LETTERS, 1).await.remove(0);
    let original = read(broker.address(), Topic::OrderCreated.name()).await.remove(0);
    assert_eq!(letter.key, original.key);
    assert_eq!(letter.payload, original.payload, "byte by byte");
    for header in &original.headers {
        assert!(letter.headers.contains(header), "{header:?} is lost");
    }
    let told = letter.all();
    let expected = [
        ("x-original-topic", "order.created".to_owned()),
        ("x-original-partition", original.partition.to_string()),
        ("x-original-offset", original.offset.to_string()),
        ("x-consumer-group", "order".to_owned()),
        ("x-retry-count", "3".to_owned()),
        ("x-error-class", "database".to_owned()),
        ("x-dead-letter-kind", "message".to_owned()),
        ("x-dead-letter-name", "order.created".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(told.get(name), Some(&value), "{name}");
    }
    assert_eq!(
        parsed(&told, "x-original-timestamp").timestamp_millis(),
        original.timestamp
    );
    assert!(
        told["x-error-message"].contains("tally_seen_check"),
        "{}",
        told["x-error-message"]
    );
    assert_eq!(told["x-error-fingerprint"].len(), 16);
    let took = parsed(&told, "x-last-failed-at") - parsed(&told, "x-first-failed-at");
    assert!(took > TimeDelta::milliseconds(200), "three retries in {took}");

    let kept = "select id from work where state = 'dead' and attempts = 4 and error_fingerprint is not null";
    assert_eq!(database.texts(kept).await, [told["x-dead-letter-id"].clone()]);
    crate::tally::cure(order);
    broker.produce(&[Sent::new(order, "2")]).await;
    database.until_seen(order, &["2"]).await;
    assert_eq!(service.metric("messaging_dead_letters_total"), 1);
    assert_eq!(service.metric("messaging_attempts_failed_total"), 4);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_as_it_came_and_parked_once() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let fresh = || Sent::new(chassis::clock::new_id(), "1");
    let garbage = Sent {
        key: Some(vec![0xff, 0x00, 0xfe]),
        headers: vec![
            ("junk".to_owned(), Some(vec![0xc3, 0x28, 0x00])),
            ("junk".to_owned(), None),
        ],
        payload: Some(vec![0x00, 0xff, 0x00]),
        ..fresh()
    };
    let nothing = Sent {
        key: None,
        headers: Vec::new(),
        payload: None,
        ..fresh()
    };
    let body = |body: &[u8]| Sent {
        payload: Some(body.to_vec()),
        ..fresh()
    };
    let unreadable = [
        (garbage, "malformed-envelope"),
        (nothing, "malformed-envelope"),
        (fresh().header("ce_id", Some(b"\xff\xfe")), "malformed-envelope"),
        (fresh().header("ce_time", None), "malformed-envelope"),
        (
            fresh().header("ce_type", Some(b"order.created.v2")),
            "unknown-version",
        ),
        (
            fresh().header("ce_type", Some(b"order.craeted.v1")),
            "unknown-type",
        ),
        (body(b"{\"order_id\":"), "malformed-body"),
        (body(b"{}"), "malformed-body"),
        (body(b""), "malformed-body"),
        (
            body(&serde_json::to_vec(&crate::broker::fact(Uuid::nil(), "1")).unwrap()),
            "malformed-body",
        ),
    ];
    let sent: Vec<Sent> = unreadable.iter().map(|(sent, _)| sent.clone()).collect();
    broker.produce(&sent).await;
    let service = Setup::new(&broker, &database).start(listening());
    let good = fresh();
    broker.produce(std::slice::from_ref(&good)).await;
    let order: Uuid = String::from_utf8(good.key.unwrap()).unwrap().parse().unwrap();
    database.until_seen(order, &["1"]).await;

    let letters = letters(&broker, LETTERS, sent.len()).await;
    let originals = read(broker.address(), Topic::OrderCreated.name()).await;
    let mut classes: Vec<&str> = Vec::new();
    for letter in &letters {
        let place = |read: &&Read| {
            letter.header("x-original-partition") == Some(&read.partition.to_string())
                && letter.header("x-original-offset") == Some(&read.offset.to_string())
        };
        let original = originals.iter().find(place).unwrap();
        assert_eq!((&letter.key, &letter.payload), (&original.key, &original.payload));
        for header in &original.headers {
            assert!(letter.headers.contains(header), "{header:?} is lost");
        }
        classes.push(letter.header("x-error-class").unwrap());
    }
    let mut expected: Vec<&str> = unreadable.iter().map(|(_, class)| *class).collect();
    classes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(classes, expected);
    service.stop().await;

    // all of it comes again, to a member that starts from the beginning
    let again = Setup::new(&broker, &database)
        .service("payment")
        .start(listening());
    until("all is consumed again", async || {
        again.metric("messaging_client_consumed_messages_total") > sent.len()
    })
    .await;
    again.stop().await;
    assert_eq!(database.number("select count(*) from work").await, sent.len());
    assert!(read(broker.address(), "payment.failed.dlq").await.is_empty());
}

/// A version 7 UUID of another time.
pub(crate) fn id_of(time: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap();
    Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_outside_of_what_is_remembered_is_never_processed() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let now = chassis::clock::now();
    let old = Sent::with_id(id_of(now - TimeDelta::days(15)), chassis::clock::new_id(), "1");
    let early = Sent::with_id(id_of(now + TimeDelta::hours(2)), chassis::clock::new_id(), "1");
    let young = chassis::clock::new_id();
    let just = Sent::with_id(
        id_of(now - TimeDelta::days(14) + TimeDelta::minutes(1)),
        young,
        "1",
    );
    broker.produce(&[old.clone(), early, just, old]).await;
    let service = Setup::new(&broker, &database).start(listening());
    database.until_seen(young, &["1"]).await;
    let letters = letters(&broker, LETTERS, 3).await;
    let mut classes: Vec<_> = letters
        .iter()
        .map(|letter| letter.header("x-error-class").unwrap())
        .collect();
    classes.sort_unstable();
    assert_eq!(classes, ["expired", "expired", "from-the-future"]);
    assert_eq!(database.number("select count(*) from tally").await, 1);
    assert_eq!(database.number("select count(*) from processed_event").await, 1);
    service.stop().await;
}

fn refuse(_: Option<Tally>, message: &Message, _: &Context) -> Reaction<Tally, NoAction> {
    Err(Rejection::new("refused", &message.envelope.name))
}

/// A participant that fails on everything, also on its own dead letters.
struct Nothing;

#[async_trait::async_trait]
impl messaging::Repository for Nothing {
    type State = Tally;
    type Action = NoAction;

    async fn load(
        &self,
        _: &mut messaging::Conn,
        _: &[Uuid],
    ) -> diesel::QueryResult<Vec<(Uuid, messaging::Versioned<Tally>)>> {
        Ok(Vec::new())
    }

    async fn save(
        &self,
        _: &mut messaging::Conn,
        changes: &[messaging::Change<Tally>],
    ) -> diesel::QueryResult<usize> {
        Ok(changes.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_about_a_dead_letter_is_kept_but_not_announced() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let participant = Participant::new(Nothing)
        .on_any(Topic::OrderCreated, refuse)
        .on_any(Topic::OrderDeadLetters, refuse);
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.retry_delays_ms = vec![10])
        .start(participant);
    broker.produce(&[Sent::new(chassis::clock::new_id(), "1")]).await;
    until("both are kept", async || {
        database
            .texts("select name from work where state = 'dead' order by name")
            .await
            == ["order.created", LETTERS]
    })
    .await;
    database.until_zero("select count(*) from outbox").await;
    letters(&broker, LETTERS, 1).await;
    service.stop().await;
}
