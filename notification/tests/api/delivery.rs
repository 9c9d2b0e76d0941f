//! From Kafka to the list, exactly once. On a real broker.

use std::time::{Duration, Instant};

use contracts::UserId;
use rdkafka::producer::FutureProducer;
use serde_json::{Value, json};
use stack::kafka::{Kafka, Options, client, topics};

use crate::facts::{Announced, deliver, every_fact};
use crate::harness::{Notifications, order, user};
use crate::receiver::Receiver;
use crate::smtp::MailServer;
use crate::webhooks::{LOCAL, deliveries, registered};

const PATIENCE: Duration = Duration::from_secs(60);
/// How often the same event is delivered.
const DELIVERIES: usize = 100;

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
            .set("linger.ms", "0")
            .create()
            .unwrap();
        Self {
            kafka,
            producer,
            _directory: directory,
        }
    }

    async fn deliver(&self, facts: &[Announced], times: usize) {
        for fact in facts {
            deliver(&self.producer, fact, times).await;
        }
    }
}

/// The user's whole list, once there is something of every event in it.
async fn told_of(service: &Notifications, user: UserId, events: &[&[Announced]]) -> Vec<Value> {
    let client = service.customer(user);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = client.get("/notifications?limit=100").await.ok(200);
        let items = page["items"].as_array().unwrap().clone();
        let is_told = |fact: &Announced| {
            let id = fact.envelope.id.to_string();
            items.iter().any(|item| item["id"] == id)
        };
        if events.concat().iter().all(is_told) {
            return items;
        }
        assert!(Instant::now() < deadline, "only {items:#?} in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn kinds(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .rev()
        .map(|item| item["kind"].as_str().unwrap())
        .collect()
}

const EVERY_KIND: [&str; 7] = [
    "welcome",
    "order_created",
    "payment_completed",
    "order_confirmed",
    "payment_failed",
    "order_cancelled",
    "payment_refunded",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fact_is_told_once_however_often_it_is_delivered() {
    let broker = Broker::start().await;
    let bootstrap = broker.kafka.bootstrap().to_owned();
    let (ada, tea) = (user(), order());

    // told while nobody was there, in a hundred copies
    let facts = every_fact(ada, tea);
    broker.deliver(&facts, DELIVERIES).await;
    let service = Notifications::with_broker(&bootstrap).await;
    // the same keys again: whoever has seen these has seen all copies before them
    let later = every_fact(ada, tea);
    broker.deliver(&later, 1).await;
    let items = told_of(&service, ada, &[&facts, &later]).await;
    assert_eq!(kinds(&items), [EVERY_KIND, EVERY_KIND].concat());

    // another process knows only what the database remembers
    let service = service.restarted(&bootstrap).await;
    broker.deliver(&facts, DELIVERIES).await;
    let last = every_fact(ada, tea);
    broker.deliver(&last, 1).await;
    let items = told_of(&service, ada, &[&facts, &later, &last]).await;
    assert_eq!(kinds(&items), [EVERY_KIND, EVERY_KIND, EVERY_KIND].concat());

    let of_tea = service
        .customer(ada)
        .get(&format!("/notifications?order_id={tea}&limit=100"))
        .await;
    assert_eq!(
        of_tea.ok(200)["items"].as_array().unwrap().len(),
        3 * 6,
        "a welcome is about no order"
    );
    let failed = items
        .iter()
        .find(|item| item["kind"] == "payment_failed")
        .unwrap();
    assert_eq!(
        failed["body"],
        "Your payment of €19.99 failed (the card was declined). You have not been charged."
    );
    assert!(service.service.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fact_is_one_mail_and_one_call_however_often_it_is_delivered() {
    let (broker, receiver) = (Broker::start().await, Receiver::start());
    let (server, bootstrap) = (
        MailServer::start(false).await,
        broker.kafka.bootstrap().to_owned(),
    );
    let port = server.port();
    let settings = [
        LOCAL[0],
        LOCAL[1],
        ("email.host", "127.0.0.1"),
        ("email.port", &port),
        ("email.security", "none"),
    ];
    let service = Notifications::with_both(&bootstrap, &settings).await;
    let (ada, tea) = (user(), order());
    let client = service.customer(ada);
    let (hook, secret) = registered(&client, &json!({"url": receiver.url("/")})).await;

    let facts = every_fact(ada, tea);
    broker.deliver(&facts, 10).await;
    let later = every_fact(ada, tea);
    broker.deliver(&later, 1).await;
    let items = told_of(&service, ada, &[&facts, &later]).await;
    let sent = deliveries(&client, &hook, "delivered", items.len()).await;
    let mut called: Vec<_> = sent
        .iter()
        .map(|sent| sent["notification_id"].to_string())
        .collect();
    called.sort_unstable();
    called.dedup();
    assert_eq!(called.len(), items.len(), "each its own");
    let got = receiver.got();
    assert_eq!(got.len(), items.len());
    assert!(got.iter().all(|got| got.is_signed_with(&secret)));

    let mails = server.gets(items.len()).await;
    assert_eq!(mails.len(), items.len());
    assert!(mails.iter().all(|mail| mail.to == "ada@example.org"));
    assert!(service.service.stop().await);
    assert_eq!(server.mails().len(), items.len());
}
