//! A real broker: facts of other services are written to it, those of this service read from it.

use std::time::{Duration, Instant};

use chassis::clock;
use contracts::{Envelope, Event, EventId, Topic};
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use stack::kafka::bounds::{self, Bounds};
use stack::kafka::{Kafka, Options, client, topics};
use uuid::Uuid;

use crate::harness::PATIENCE;

pub(crate) struct Broker {
    kafka: Kafka,
    producer: FutureProducer,
    _ports: [stack::ports::Lease; 2],
    _directory: tempfile::TempDir,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let directory = stack::temporary().unwrap();
        let ports = [stack::ports::lease().unwrap(), stack::ports::lease().unwrap()];
        let options = Options::new(directory.path().join("kafka"), ports[0].port(), ports[1].port());
        let kafka = Kafka::start(options).await.unwrap();
        topics::ensure(kafka.bootstrap(), &topics::Plan::default())
            .await
            .unwrap();
        let producer = client(kafka.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .create()
            .unwrap();
        Self {
            kafka,
            producer,
            _ports: ports,
            _directory: directory,
        }
    }

    pub(crate) fn address(&self) -> &str {
        self.kafka.bootstrap()
    }

    /// Announces a fact and writes it to its topic as often as asked. Answers with its id.
    pub(crate) async fn deliver(&self, event: impl Into<Event>, times: usize) -> Uuid {
        let event = event.into();
        let envelope = Envelope {
            id: EventId::new(clock::new_id()),
            name: event.topic().name().to_owned(),
            major: event.major(),
            source: "order".to_owned(),
            time: clock::now(),
            key: event.key(),
            sequence: 1,
            correlation_id: event.key(),
            causation_id: clock::new_id(),
            traceparent: None,
            tracestate: None,
        };
        let key = envelope.key.to_string();
        let payload = serde_json::to_vec(&event).unwrap();
        let headers = envelope.to_headers();
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            let value = Some(value);
            headers.insert(Header { key, value })
        });
        for _ in 0..times {
            let record = FutureRecord::to(event.topic().name())
                .key(&key)
                .payload(&payload)
                .headers(headers.clone());
            self.producer.send(record, Duration::from_secs(20)).await.unwrap();
        }
        envelope.id.uuid()
    }

    /// All that is in the topic right now: key and body of each record.
    pub(crate) async fn read(&self, topic: Topic) -> Vec<(String, Value)> {
        let brokers = self.address().to_owned();
        tokio::task::spawn_blocking(move || read_blocking(&brokers, topic.name()))
            .await
            .unwrap()
    }
}

fn read_blocking(brokers: &str, topic: &str) -> Vec<(String, Value)> {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "looks-only")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let bounds = bounds::bounds(&consumer, [topic]).unwrap();
    let mut missing: i64 = bounds.iter().map(Bounds::records).sum();
    bounds::assign(&consumer, &bounds, |of| of.low).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while missing > 0 {
        assert!(Instant::now() < deadline, "{missing} records do not come");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.unwrap();
        missing -= 1;
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        records.push((key, serde_json::from_slice(message.payload().unwrap()).unwrap()));
    }
    records
}
