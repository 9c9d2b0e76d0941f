//! From every topic into the timeline. On a real broker.

use std::time::{Duration, Instant};

use chassis::clock;
use contracts::events::{
    CancellationReason, OrderCancelled, OrderCreated, OrderLine, PaymentFailed, UserRegistered,
};
use contracts::{Currency, Envelope, Event, EventId, Money, OrderId, PaymentId, Topic, UserId};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use stack::kafka::{Kafka, Options, client, topics};
use uuid::Uuid;

use crate::harness::upstream::echo;
use crate::harness::{Gateway, token};

const PATIENCE: Duration = Duration::from_secs(60);
const PRICE: Money = Money::new(1_999, Currency::EUR);

/// A record on its way to a topic.
struct Sent {
    topic: &'static str,
    key: Uuid,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

struct Broker {
    kafka: Kafka,
    producer: FutureProducer,
    _directory: tempfile::TempDir,
}

impl Broker {
    async fn start() -> Self {
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

    async fn deliver(&self, sent: &Sent) {
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

fn announced(event: impl Into<Event>, cause: Uuid, sequence: u64) -> (EventId, Sent) {
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

/// What the notification service says when it has given up on an event.
fn dead_letter_of(event: &Sent) -> Sent {
    let mut headers = event.headers.clone();
    for (name, value) in [
        ("x-dead-letter-record-id", clock::new_id().to_string()),
        ("x-dead-letter-id", clock::new_id().to_string()),
        ("x-dead-letter-kind", "message".to_owned()),
        ("x-dead-letter-name", event.topic.to_owned()),
        ("x-consumer-group", "notification".to_owned()),
        ("x-retry-count", "3".to_owned()),
        ("x-error-class", "panic".to_owned()),
        ("x-error-message", "index out of bounds".to_owned()),
        ("x-last-failed-at", clock::now().to_rfc3339()),
    ] {
        headers.push((name.to_owned(), value));
    }
    let topic = Topic::NotificationDeadLetters.name();
    Sent {
        topic,
        key: event.key,
        headers,
        body: event.body.clone(),
    }
}

fn line() -> OrderLine {
    OrderLine {
        sku: "A".to_owned(),
        name: "a thing".to_owned(),
        quantity: 1,
        unit_price: PRICE,
    }
}

/// A declined order, a registration, and a dead letter.
fn saga(order_id: OrderId, customer_id: UserId) -> Vec<Sent> {
    let items = vec![line()];
    let placed = OrderCreated {
        order_id,
        customer_id,
        items,
        total: PRICE,
        payment_method: "pm".to_owned(),
    };
    let (created_id, created) = announced(placed, clock::new_id(), 1);
    let refused = PaymentFailed {
        payment_id: PaymentId::new(clock::new_id()),
        order_id,
        customer_id,
        amount: PRICE,
        failure_code: "card_declined".to_owned(),
    };
    let (failed_id, failed) = announced(refused, created_id.uuid(), 1);
    let (reason, code) = (
        CancellationReason::PaymentFailed,
        Some("card_declined".to_owned()),
    );
    let ended = OrderCancelled {
        order_id,
        customer_id,
        total: PRICE,
        reason,
        code,
    };
    let (_, cancelled) = announced(ended, failed_id.uuid(), 2);
    let (email, display_name) = ("ada@example.org".to_owned(), None);
    let (_, registered) = announced(
        UserRegistered {
            user_id: customer_id,
            email,
            display_name,
        },
        clock::new_id(),
        1,
    );
    let dead = dead_letter_of(&cancelled);
    // effects before their causes: topics know no order among themselves
    vec![dead, cancelled, failed, created, registered]
}

async fn told(gateway: &Gateway, order: OrderId, count: usize) -> Vec<Value> {
    let client = gateway.admin();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(&format!("/orders/{order}/timeline")).await;
        let items = if answer.status == 200 {
            answer.json()["items"].as_array().unwrap().clone()
        } else {
            vec![]
        };
        if items.len() >= count {
            return items;
        }
        assert!(Instant::now() < deadline, "only {items:#?} in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_topic_is_written_down_once_and_told_in_order() {
    let broker = Broker::start().await;
    let limits = [
        ("kafka.brokers", broker.kafka.bootstrap()),
        ("rate_limit.per_user_per_minute", "100000"),
        ("rate_limit.per_address_per_minute", "100000"),
    ];
    let gateway = Gateway::configured(echo(), &limits).await;
    let (order, customer) = (OrderId::new(clock::new_id()), token::user(token::CUSTOMER));
    let saga = saga(order, customer);
    for record in saga.iter().chain(&saga).chain(&saga) {
        broker.deliver(record).await;
    }
    // a message that makes no sense holds up nobody
    let (_, mut nonsense) = announced(
        UserRegistered {
            user_id: customer,
            email: "a@b".to_owned(),
            display_name: None,
        },
        clock::new_id(),
        2,
    );
    nonsense.body = b"{{".to_vec();
    broker.deliver(&nonsense).await;

    let items = told(&gateway, order, 4).await;
    let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "order.created",
            "payment.failed",
            "order.cancelled",
            "notification.failed.dlq"
        ]
    );
    assert_eq!(items[0]["data"]["items"][0]["sku"], "A");
    assert_eq!(items[3]["source"], "notification");
    assert_eq!(items[3]["causation_id"], items[2]["event_id"]);
    assert_eq!(items[3]["data"]["error_message"], "index out of bounds");
    assert_eq!(items[3]["data"]["retries"], 3);

    // its owner sees it too, and it stays as it is however often it is delivered
    for record in &saga {
        broker.deliver(record).await;
    }
    let later = OrderId::new(clock::new_id());
    let (_, last) = announced(
        OrderCreated {
            order_id: later,
            customer_id: customer,
            items: vec![line()],
            total: PRICE,
            payment_method: "pm".to_owned(),
        },
        clock::new_id(),
        1,
    );
    broker.deliver(&last).await;
    told(&gateway, later, 1).await;
    let own = gateway
        .customer()
        .get(&format!("/orders/{order}/timeline"))
        .await
        .json();
    assert_eq!(own["items"].as_array().unwrap().len(), 4);
    assert!(gateway.stop().await);
}
