//! A real broker, and facts as services announce them.

use std::time::Duration;

use chassis::clock;
use contracts::{Envelope, Event, EventId};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::kafka::{Kafka, Options, client, topics};
use uuid::Uuid;

/// A record on its way to a topic.
pub(crate) struct Sent {
    pub(crate) topic: &'static str,
    pub(crate) key: Uuid,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A broker of the test's own.
pub(crate) struct Broker {
    pub(crate) kafka: Kafka,
    producer: FutureProducer,
    _directory: tempfile::TempDir,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let directory = stack::temporary().unwrap();
        let (port, controller) = (stack::ports::lease().unwrap(), stack::ports::lease().unwrap());
        let options = Options::new(directory.path().join("kafka"), port.port(), controller.port());
        let kafka = Kafka::start(options).await.unwrap();
        topics::ensure(kafka.bootstrap(), &topics::Plan::default())
            .await
            .unwrap();
        let producer = client(kafka.bootstrap())
            .set("enable.idempotence", "true")
            .create()
            .unwrap();
        Self {
            kafka,
            producer,
            _directory: directory,
        }
    }

    pub(crate) async fn deliver(&self, sent: &Sent) {
        let headers = sent
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        let key = sent.key.to_string();
        let record = FutureRecord::to(sent.topic)
            .key(&key)
            .payload(&sent.body)
            .headers(headers);
        self.producer.send(record, Duration::from_secs(20)).await.unwrap();
    }
}

/// A fact as its service would announce it.
pub(crate) fn announced(event: impl Into<Event>, cause: Uuid, sequence: u64) -> (EventId, Sent) {
    let event = event.into();
    let id = EventId::new(clock::new_id());
    let envelope = Envelope {
        id,
        name: event.topic().name().to_owned(),
        major: event.major(),
        source: "test".to_owned(),
        time: clock::now(),
        key: event.key(),
        sequence,
        correlation_id: event.key(),
        causation_id: cause,
        traceparent: None,
        tracestate: None,
    };
    let headers = envelope
        .to_headers()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let body = serde_json::to_vec(&event).unwrap();
    (
        id,
        Sent {
            topic: event.topic().name(),
            key: event.key(),
            headers,
            body,
        },
    )
}
