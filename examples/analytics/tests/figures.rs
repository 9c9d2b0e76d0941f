//! The participant as a process of its own, on a real broker and a real database: what was announced, however often and
//! in whatever order, is what the figures say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use contracts::events::{PaymentCompleted, PaymentFailed, PaymentRefunded};
use contracts::{Currency, Envelope, Event, Money, OrderId, PaymentId, UserId};
use nix::sys::signal::Signal;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::kafka::{Kafka, Options, client, topics};
use stack::ports::Lease;
use stack::postgres::{TestDatabase, connect};
use stack::process::{Launch, Process};
use stack::state::{Broker, State};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(90);

fn id() -> Uuid {
    chassis::clock::new_id()
}

/// An event of that moment, as its announcer writes it.
fn announced(event: Event, time: &str) -> (Envelope, Event) {
    let envelope = Envelope {
        id: id().into(),
        name: event.topic().name().to_owned(),
        major: event.major(),
        source: "payment".to_owned(),
        time: time.parse().unwrap(),
        key: event.key(),
        sequence: 1,
        correlation_id: event.key(),
        causation_id: id(),
        traceparent: None,
        tracestate: None,
    };
    (envelope, event)
}

fn paid(minor: i64, time: &str) -> (Envelope, Event) {
    let fact = PaymentCompleted {
        payment_id: PaymentId::new(id()),
        order_id: OrderId::new(id()),
        customer_id: UserId::new(id()),
        amount: Money::new(minor, Currency::EUR),
        provider: "simulated".to_owned(),
        provider_reference: "sim_1".to_owned(),
    };
    announced(fact.into(), time)
}

fn failed(code: &str, time: &str) -> (Envelope, Event) {
    let fact = PaymentFailed {
        payment_id: PaymentId::new(id()),
        order_id: OrderId::new(id()),
        customer_id: UserId::new(id()),
        amount: Money::new(500, Currency::EUR),
        failure_code: code.to_owned(),
    };
    announced(fact.into(), time)
}

fn refunded(minor: i64, time: &str) -> (Envelope, Event) {
    let fact = PaymentRefunded {
        payment_id: PaymentId::new(id()),
        order_id: OrderId::new(id()),
        customer_id: UserId::new(id()),
        amount: Money::new(minor, Currency::EUR),
        refund_reference: "sim_re_1".to_owned(),
    };
    announced(fact.into(), time)
}

async fn deliver(producer: &FutureProducer, (envelope, event): &(Envelope, Event)) {
    let (key, body) = (envelope.key.to_string(), serde_json::to_vec(event).unwrap());
    let headers = envelope
        .to_headers()
        .into_iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(&value),
            })
        });
    let record = FutureRecord::to(event.topic().name())
        .key(&key)
        .payload(&body)
        .headers(headers);
    producer
        .send(record, PATIENCE)
        .await
        .map_err(|(error, _)| error)
        .unwrap();
}

fn start(command: &str, env: &BTreeMap<String, String>, directory: &Path) -> Process {
    Launch::new(
        "analytics",
        env!("CARGO_BIN_EXE_analytics"),
        directory.join("analytics.log"),
    )
    .args([command])
    .env(env.clone())
    .start()
    .unwrap()
}

/// Waits until a query's rows are these.
async fn becomes(service: &mut Process, url: &str, query: &str, expected: &[&str]) {
    let database = connect(url).await.unwrap();
    let begin = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        let rows = database.query(query, &[]).await.unwrap();
        let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if rows == expected {
            return;
        }
        assert!(service.is_running(), "it ended: {}", service.log_tail());
        assert!(
            begin.elapsed() < PATIENCE,
            "{query}: {rows:#?}\n{}",
            service.log_tail()
        );
    }
}

const REVENUE: &str = "select concat_ws(' ', day, currency, payments, taken_minor, refunded_minor, net_minor) \
                       from revenue order by day";
const FAILURES: &str = "select concat_ws(' ', day, attempts, failed, percent) from failures order by day";
const CODES: &str = "select concat_ws(' ', day, failure_code, failed) from failure_codes order by 1";

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_of_the_events() {
    let directory = stack::temporary().unwrap();
    let (kafka, _ports) = broker(directory.path()).await;
    let producer: FutureProducer = client(kafka.bootstrap()).create().unwrap();
    let database = TestDatabase::empty().await.unwrap();
    let env: BTreeMap<String, String> = [
        ("QUADRILLE__DATABASE__URL", database.url()),
        ("QUADRILLE__DATABASE__POOL_SIZE", "4"),
        ("QUADRILLE__KAFKA__BROKERS", kafka.bootstrap()),
        ("QUADRILLE__HTTP__PORT", "0"),
        ("QUADRILLE__MANAGEMENT__PORT", "0"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    let mut migration = start("migrate", &env, directory.path());
    assert!(migration.ended_within(PATIENCE).await, "migrate goes on");
    assert!(migration.exit().unwrap().success(), "{}", migration.log_tail());

    // announced before anybody listened, and more than once
    let friday = [
        paid(1_000, "2026-11-20T08:00:00Z"),
        paid(2_500, "2026-11-20T23:59:59.999Z"),
        failed("card_declined", "2026-11-20T09:00:00Z"),
        failed("insufficient_funds", "2026-11-20T10:00:00Z"),
    ];
    for _ in 0..5 {
        for fact in &friday {
            deliver(&producer, fact).await;
        }
    }
    let mut service = start("serve", &env, directory.path());
    let url = database.url();
    becomes(&mut service, url, REVENUE, &["2026-11-20 EUR 2 3500 0 3500"]).await;
    becomes(&mut service, url, FAILURES, &["2026-11-20 4 2 50"]).await;

    // killed in the middle, it goes on where it was
    service.kill().await;
    deliver(&producer, &friday[0]).await;
    deliver(&producer, &refunded(1_000, "2026-11-21T00:00:00Z")).await;
    deliver(&producer, &paid(700, "2026-11-21T12:00:00Z")).await;
    deliver(&producer, &paid(800, "2026-11-21T12:00:00Z")).await;
    deliver(&producer, &failed("card_declined", "2026-11-21T13:00:00Z")).await;
    let mut service = start("serve", &env, directory.path());
    let revenue = ["2026-11-20 EUR 2 3500 0 3500", "2026-11-21 EUR 2 1500 1000 500"];
    becomes(&mut service, url, REVENUE, &revenue).await;
    becomes(
        &mut service,
        url,
        FAILURES,
        &["2026-11-20 4 2 50", "2026-11-21 3 1 33.3"],
    )
    .await;
    let codes = [
        "2026-11-20 card_declined 1",
        "2026-11-20 insufficient_funds 1",
        "2026-11-21 card_declined 1",
    ];
    becomes(&mut service, url, CODES, &codes).await;
    service.kill().await;
}

/// What `make analytics` starts, beside a platform of which there is nothing but the broker.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_platform_it_prints_the_figures_and_says_where_its_database_is() {
    let directory = stack::temporary().unwrap();
    let (kafka, _ports) = broker(directory.path()).await;
    let platform = State {
        broker: Some(Broker {
            kind: kafka.kind(),
            address: kafka.bootstrap().to_owned(),
        }),
        ..State::default()
    };
    platform.save(directory.path()).unwrap();
    let producer: FutureProducer = client(kafka.bootstrap()).create().unwrap();
    deliver(&producer, &paid(1_000, "2026-11-20T08:00:00Z")).await;
    let log = directory.path().join("beside.log");
    let ports = ["HTTP", "MANAGEMENT"].map(|of| (format!("QUADRILLE__{of}__PORT"), "0".to_owned()));
    let mut beside = Launch::new("beside", env!("CARGO_BIN_EXE_analytics-beside"), &log)
        .args([directory.path().to_str().unwrap()])
        .env(BTreeMap::from(ports))
        .start()
        .unwrap();
    prints(&mut beside, "2026-11-20  EUR  paid 1  taken 1000").await;
    deliver(&producer, &failed("card_declined", "2026-11-20T09:00:00Z")).await;
    prints(&mut beside, "2026-11-20  attempts 2  failed 1  50 %").await;
    // where the document says that it is
    let url = std::fs::read_to_string(directory.path().join("analytics/database-url")).unwrap();
    let database = connect(&url).await.unwrap();
    let rows = database.query("select * from failure_codes", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    drop(database);
    assert!(
        beside.stop(Signal::SIGINT, PATIENCE).await,
        "it ends when it is told to"
    );
    assert!(connect(&url).await.is_err(), "its database has ended with it");
}

/// Waits until the process has printed that.
async fn prints(process: &mut Process, text: &str) {
    let begin = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    while !std::fs::read_to_string(process.log()).unwrap().contains(text) {
        tick.tick().await;
        assert!(process.is_running(), "it ended: {}", process.log_tail());
        assert!(begin.elapsed() < PATIENCE, "no {text:?}: {}", process.log_tail());
    }
}

/// A broker with all topics of the platform.
async fn broker(directory: &Path) -> (Kafka, [Lease; 2]) {
    let ports = [(); 2].map(|()| stack::ports::lease().unwrap());
    let options = Options::new(directory.join("kafka"), ports[0].port(), ports[1].port());
    let kafka = Kafka::start(options).await.unwrap();
    topics::ensure(kafka.bootstrap(), &topics::Plan::default())
        .await
        .unwrap();
    (kafka, ports)
}

/// The kernel's tables are the same in every participant's database.
#[test]
fn the_kernels_migrations_are_those_of_the_services() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "00000000000001_kernel",
        "00000000000010_operations",
        "00000000000011_publications",
        "00000000000013_letters",
        "00000000000014_letter_states",
    ] {
        for file in ["up.sql", "down.sql"] {
            let read = |directory: &Path| std::fs::read_to_string(directory.join(name).join(file)).unwrap();
            assert_eq!(
                read(&here.join("migrations")),
                read(&here.join("../../migrations/order")),
                "{name}/{file}"
            );
        }
    }
}
