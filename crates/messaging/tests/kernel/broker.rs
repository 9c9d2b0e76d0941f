//! A broker of a story's own, and what is sent to it.

use chassis::clock;
use contracts::events::OrderCreated;
use contracts::{Currency, Envelope, EventId, Fact, Money, OrderId, Topic, UserId};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::chaos::Proxy;
use stack::kafka::{Kafka, Options, Proxied, client, topics};
use uuid::Uuid;

/// A broker of the story's own.
pub(crate) struct Broker {
    pub(crate) kafka: Kafka,
    _ports: [stack::ports::Lease; 2],
    _directory: tempfile::TempDir,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let broker = Self::bare().await;
        broker.make_topics().await;
        broker
    }

    /// With a second listener, which leads through a proxy.
    pub(crate) async fn start_proxied() -> (Self, Proxy) {
        let (own, port) = (Proxy::lease().unwrap(), Proxy::lease().unwrap());
        let proxied = Proxied {
            port: own.port(),
            advertised: format!("127.0.0.1:{}", port.port()),
        };
        let proxy = Proxy::open(port, own.port()).await.unwrap();
        let broker = Self::with(Some(proxied)).await;
        broker.make_topics().await;
        (broker, proxy)
    }

    /// Without any topic.
    pub(crate) async fn bare() -> Self {
        Self::with(None).await
    }

    async fn with(proxied: Option<Proxied>) -> Self {
        let directory = stack::temporary().unwrap();
        let ports = [stack::ports::lease().unwrap(), stack::ports::lease().unwrap()];
        let options = Options {
            proxied,
            ..Options::new(directory.path().join("kafka"), ports[0].port(), ports[1].port())
        };
        let kafka = Kafka::start(options).await.unwrap();
        Self {
            kafka,
            _ports: ports,
            _directory: directory,
        }
    }

    pub(crate) async fn make_topics(&self) {
        let plan = topics::Plan {
            partitions: 3,
            ..topics::Plan::default()
        };
        topics::ensure(self.address(), &plan).await.unwrap();
    }

    pub(crate) fn address(&self) -> &str {
        self.kafka.bootstrap()
    }

    pub(crate) async fn produce(&self, records: &[Sent]) {
        self.produce_with("none", records).await;
    }

    /// Compressed with this codec.
    pub(crate) async fn produce_with(&self, codec: &str, records: &[Sent]) {
        let producer: FutureProducer = client(self.address())
            .set("enable.idempotence", "true")
            .set("compression.codec", codec)
            .create()
            .unwrap();
        let deliveries = records.iter().map(|sent| {
            let mut record = FutureRecord::<[u8], [u8]>::to(sent.topic).headers(sent.headers());
            if let Some(key) = &sent.key {
                record = record.key(key);
            }
            if let Some(payload) = &sent.payload {
                record = record.payload(payload);
            }
            producer.send_result(record).map_err(|(error, _)| error).unwrap()
        });
        for delivery in deliveries.collect::<Vec<_>>() {
            delivery.await.unwrap().unwrap();
        }
    }
}

/// A record to produce, as it is or spoilt first.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) topic: &'static str,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) payload: Option<Vec<u8>>,
}

impl Sent {
    /// `label` is what the tally of `order` writes down.
    pub(crate) fn new(order: Uuid, label: &str) -> Self {
        Self::with_id(clock::new_id(), order, label)
    }

    pub(crate) fn with_id(id: Uuid, order: Uuid, label: &str) -> Self {
        let envelope = Envelope {
            id: EventId::new(id),
            name: OrderCreated::TOPIC.name().to_owned(),
            major: OrderCreated::MAJOR,
            source: "test".to_owned(),
            time: clock::now(),
            key: order,
            sequence: 1,
            correlation_id: order,
            causation_id: clock::new_id(),
            traceparent: None,
            tracestate: None,
        };
        let headers = envelope.to_headers().into_iter();
        Self {
            topic: Topic::OrderCreated.name(),
            key: Some(order.to_string().into_bytes()),
            headers: headers
                .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
                .collect(),
            payload: Some(serde_json::to_vec(&fact(order, label)).unwrap()),
        }
    }

    /// Replaces the header `name`, or removes it.
    pub(crate) fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        self.headers.retain(|(found, _)| found != name);
        if let Some(value) = value {
            self.headers.push((name.to_owned(), Some(value.to_vec())));
        }
        self
    }

    fn headers(&self) -> OwnedHeaders {
        self.headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: value.as_ref(),
                })
            })
    }
}

pub(crate) fn fact(order: Uuid, label: &str) -> OrderCreated {
    OrderCreated {
        order_id: OrderId::new(order),
        customer_id: UserId::new(order),
        items: Vec::new(),
        total: Money::zero(Currency::EUR),
        payment_method: label.to_owned(),
    }
}
