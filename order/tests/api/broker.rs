//! A real broker, for what the service does only when Kafka answers.

use std::sync::{Arc, Weak};

use chassis::clock;
use contracts::{Envelope, EventId, Fact};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::kafka::{Kafka, Options, client, topics};
use stack::ports::{Lease, lease};
use tokio::sync::Mutex;

/// A broker of this program's own.
pub(crate) struct Broker {
    pub(crate) kafka: Kafka,
    address: String,
    _ports: [Lease; 2],
    _directory: tempfile::TempDir,
}

impl Broker {
    /// Without any topic.
    pub(crate) async fn bare() -> Self {
        let directory = stack::temporary().unwrap();
        let ports = [lease().unwrap(), lease().unwrap()];
        let options = Options::new(directory.path().join("kafka"), ports[0].port(), ports[1].port());
        let kafka = Kafka::start(options).await.unwrap();
        Self {
            address: kafka.bootstrap().to_owned(),
            kafka,
            _ports: ports,
            _directory: directory,
        }
    }

    /// One without any topic for all tests that run at the same time; it ends with the last of them.
    pub(crate) async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Broker>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let broker = Arc::new(Self::bare().await);
        *shared = Arc::downgrade(&broker);
        broker
    }

    /// Makes the platform's topics.
    pub(crate) async fn make_topics(&self) {
        let plan = topics::Plan {
            partitions: 3,
            ..topics::Plan::default()
        };
        topics::ensure(&self.address, &plan).await.unwrap();
    }

    /// The setting that makes a service use it.
    pub(crate) fn setting(&self) -> (&str, &str) {
        ("kafka.brokers", &self.address)
    }

    /// Announces a fact as the payment service does, and answers when it is on its topic.
    pub(crate) async fn announce<F: Fact + serde::Serialize>(&self, fact: &F) {
        let envelope = Envelope {
            id: EventId::new(clock::new_id()),
            name: F::TOPIC.name().to_owned(),
            major: F::MAJOR,
            source: "payment".to_owned(),
            time: clock::now(),
            key: fact.key(),
            sequence: 1,
            correlation_id: fact.key(),
            causation_id: clock::new_id(),
            traceparent: None,
            tracestate: None,
        };
        let headers = envelope.to_headers().into_iter();
        let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(&value),
            })
        });
        let (key, payload) = (fact.key().to_string(), serde_json::to_vec(fact).unwrap());
        let record = FutureRecord::to(F::TOPIC.name())
            .key(&key)
            .payload(&payload)
            .headers(headers);
        let producer: FutureProducer = client(&self.address).create().unwrap();
        producer
            .send_result(record)
            .map_err(|(error, _)| error)
            .unwrap()
            .await
            .unwrap()
            .unwrap();
    }
}
