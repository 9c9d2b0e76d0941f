//! The records on Kafka, as they lie there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use contracts::Topic;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::kafka::bounds::{self, Bounds};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its topic.
    pub topic: String,
    /// Its key, where it is an id.
    pub key: Option<Uuid>,
    /// Its headers, as text.
    pub headers: HashMap<String, String>,
    message: OwnedMessage,
}

impl Record {
    fn of(message: OwnedMessage) -> Self {
        let key = message
            .key()
            .and_then(|key| std::str::from_utf8(key).ok()?.parse().ok());
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let headers = message.headers().map_or_else(HashMap::new, |headers| {
            headers
                .iter()
                .map(|header| (header.key.to_owned(), text(header.value)))
                .collect()
        });
        Self {
            topic: message.topic().to_owned(),
            key,
            headers,
            message,
        }
    }

    /// A header, which must be there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("{} without {name}: {:?}", self.topic, self.headers))
    }

    /// The event's id.
    #[must_use]
    pub fn event_id(&self) -> Uuid {
        self.header("ce_id").parse().expect("an id")
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> serde_json::Value {
        serde_json::from_slice(self.message.payload().unwrap_or_default()).expect("JSON")
    }

    /// Whether it is a dead letter.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        self.topic.ends_with(".dlq")
    }
}

fn consumer(brokers: &str) -> BaseConsumer {
    stack::kafka::client(brokers)
        .set("group.id", "acceptance")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .create()
        .expect("a consumer")
}

/// Every partition of every topic.
fn every(consumer: &BaseConsumer) -> Vec<Bounds> {
    bounds::bounds(consumer, Topic::ALL.map(Topic::name)).expect("the ends of the topics")
}

/// All records of all topics, those of a partition in their order.
pub async fn all(brokers: &str) -> Vec<Record> {
    let brokers = brokers.to_owned();
    tokio::task::spawn_blocking(move || read(&consumer(&brokers)))
        .await
        .unwrap()
}

fn read(consumer: &BaseConsumer) -> Vec<Record> {
    let mut filled = every(consumer);
    filled.retain(|partition| partition.records() > 0);
    bounds::assign(consumer, &filled, |of| of.low).unwrap();
    let mut open: HashMap<(String, i32), i64> = filled
        .into_iter()
        .map(|of| ((of.topic, of.partition), of.high))
        .collect();
    let (mut records, begin) = (Vec::new(), Instant::now());
    while !open.is_empty() {
        assert!(begin.elapsed() < PATIENCE, "not read in time: {open:?}");
        let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) else {
            // the end of a partition, or a hiccup of the connection
            continue;
        };
        let place = (message.topic().to_owned(), message.partition());
        if open.get(&place).is_some_and(|end| message.offset() + 1 >= *end) {
            open.remove(&place);
        }
        records.push(Record::of(message.detach()));
    }
    records
}

/// Produces each of `records` again, byte for byte, `times` times.
pub async fn publish_again(brokers: &str, records: &[Record], times: usize) {
    let producer: FutureProducer = stack::kafka::client(brokers)
        .set("linger.ms", "5")
        .create()
        .expect("a producer");
    let mut deliveries = Vec::new();
    for _ in 0..times {
        for record in records {
            let mut headers = OwnedHeaders::new();
            for header in record.message.headers().into_iter().flat_map(Headers::iter) {
                headers = headers.insert(Header {
                    key: header.key,
                    value: header.value,
                });
            }
            let copy = FutureRecord {
                topic: &record.topic,
                partition: None,
                payload: record.message.payload(),
                key: record.message.key(),
                timestamp: None,
                headers: Some(headers),
            };
            deliveries.push(
                producer
                    .send_result(copy)
                    .map_err(|(error, _)| error)
                    .expect("room in the queue"),
            );
        }
    }
    for delivery in deliveries {
        delivery
            .await
            .unwrap()
            .map_err(|(error, _)| error)
            .expect("delivered");
    }
}
