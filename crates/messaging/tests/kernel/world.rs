//! What every story needs: a broker, a database, services that come and go, and patience.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::{Duration, Instant};

use chassis::settings::DatabaseSettings;
use chassis::{Pool, Tasks, clock};
use contracts::events::OrderCreated;
use contracts::{Currency, Envelope, EventId, Fact, Money, OrderId, Topic, UserId};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use messaging::metrics::KernelMetrics;
use messaging::{BrokerState, Conn, Kernel, MessagingSettings, Repository, Signals};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::kafka::{Kafka, Options, client, topics};
use stack::postgres::TestDatabase;
use uuid::Uuid;

use crate::tally::TABLE;

pub(crate) const KERNEL: &str = include_str!("../../../../migrations/order/00000000000001_kernel/up.sql");
/// The service of most stories: its name is its consumer group and names its dead letters.
pub(crate) const SERVICE: &str = "order";
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut polls = tokio::time::interval(Duration::from_millis(20));
    loop {
        polls.tick().await;
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
    }
}

pub(crate) async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    eventually(what, async || probe().await.then_some(())).await;
}

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

    /// Without any topic.
    pub(crate) async fn bare() -> Self {
        let directory = stack::temporary().unwrap();
        let ports = [stack::ports::lease().unwrap(), stack::ports::lease().unwrap()];
        let options = Options::new(directory.path().join("kafka"), ports[0].port(), ports[1].port());
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
        let producer: FutureProducer = client(self.address())
            .set("enable.idempotence", "true")
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

/// The database of a service, and a connection to look into it.
pub(crate) struct Database {
    pub(crate) url: String,
    conn: AsyncPgConnection,
    _own: Option<TestDatabase>,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let own = TestDatabase::create("kernel", async |url| {
            let mut conn = AsyncPgConnection::establish(&url).await.unwrap();
            prepare(&mut conn).await;
            Ok::<_, std::io::Error>(())
        })
        .await
        .unwrap();
        let url = own.url().to_owned();
        let conn = AsyncPgConnection::establish(&url).await.unwrap();
        Self {
            url,
            conn,
            _own: Some(own),
        }
    }

    /// In a cluster of the story's own.
    pub(crate) async fn at(url: String) -> Self {
        let mut conn = AsyncPgConnection::establish(&url).await.unwrap();
        prepare(&mut conn).await;
        Self {
            url,
            conn,
            _own: None,
        }
    }

    pub(crate) async fn reconnect(&mut self) {
        self.conn = AsyncPgConnection::establish(&self.url).await.unwrap();
    }

    pub(crate) fn conn(&mut self) -> &mut AsyncPgConnection {
        &mut self.conn
    }

    pub(crate) async fn execute(&mut self, sql: &str) -> usize {
        diesel::sql_query(sql).execute(&mut self.conn).await.unwrap()
    }

    /// One number.
    pub(crate) async fn number(&mut self, sql: &str) -> usize {
        #[derive(QueryableByName)]
        struct Number {
            #[diesel(sql_type = BigInt)]
            number: i64,
        }
        let row: Number = diesel::sql_query(format!("select ({sql})::bigint as number"))
            .get_result(&mut self.conn)
            .await
            .unwrap();
        row.number.try_into().unwrap()
    }

    /// One text a row.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Line {
            #[diesel(sql_type = Nullable<Text>)]
            line: Option<String>,
        }
        let rows: Vec<Line> = diesel::sql_query(format!("select x.line::text as line from ({sql}) x(line)"))
            .load(&mut self.conn)
            .await
            .unwrap();
        rows.into_iter().map(|row| row.line.unwrap_or_default()).collect()
    }

    /// What the tally of `order` has seen.
    pub(crate) async fn seen(&mut self, order: Uuid) -> Vec<String> {
        self.texts(&format!("select unnest(seen) from tally where id = '{order}'"))
            .await
    }

    pub(crate) async fn until_seen(&mut self, order: Uuid, labels: &[&str]) {
        until(&format!("{labels:?} of {order}"), async || {
            self.seen(order).await == labels
        })
        .await;
    }

    pub(crate) async fn until_zero(&mut self, sql: &str) {
        until(&format!("none of {sql}"), async || self.number(sql).await == 0).await;
    }
}

async fn prepare(conn: &mut AsyncPgConnection) {
    conn.batch_execute(KERNEL).await.unwrap();
    conn.batch_execute(TABLE).await.unwrap();
}

/// Limits in which nobody has to wait long.
pub(crate) fn settings() -> MessagingSettings {
    MessagingSettings {
        retry_delays_ms: vec![100, 100, 100],
        dispatch_poll_ms: 20,
        relay_lead_ms: 100,
        backoff_min_ms: 50,
        backoff_max_ms: 500,
        ..MessagingSettings::default()
    }
}

/// A running kernel.
pub(crate) struct Running {
    pub(crate) tasks: Tasks,
    pub(crate) pool: Pool,
    pub(crate) signals: Signals,
    pub(crate) broker: BrokerState,
    registry: Registry,
}

/// What a kernel is started with.
pub(crate) struct Setup<'a> {
    pub(crate) service: &'a str,
    pub(crate) brokers: &'a str,
    pub(crate) database: &'a str,
    pub(crate) settings: MessagingSettings,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(broker: &'a Broker, database: &'a Database) -> Self {
        Self {
            service: SERVICE,
            brokers: broker.address(),
            database: &database.url,
            settings: settings(),
        }
    }

    pub(crate) fn service(self, service: &'a str) -> Self {
        Self { service, ..self }
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut MessagingSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// On the runtime that this is called from.
    pub(crate) fn start<R: Repository>(self, participant: messaging::Participant<R>) -> Running {
        observe();
        let pool = chassis::database::pool(&DatabaseSettings {
            url: self.database.into(),
            pool_size: 8,
            wait_timeout_ms: 2_000,
            statement_timeout_ms: 10_000,
            start_timeout_s: 30,
        })
        .unwrap();
        let metrics = KernelMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let kernel = Kernel::builder(self.service, self.brokers, pool.clone(), self.settings)
            .participant(participant)
            .metrics(metrics)
            .build()
            .unwrap();
        let tasks = Tasks::new();
        let (signals, broker) = (kernel.signals(), kernel.broker());
        kernel.start(&tasks).unwrap();
        Running {
            tasks,
            pool,
            signals,
            broker,
            registry,
        }
    }
}

impl Running {
    pub(crate) async fn conn(&self) -> Object<Conn> {
        self.pool.get().await.unwrap()
    }

    /// As on SIGTERM.
    pub(crate) async fn stop(self) {
        assert!(
            self.tasks.finish(Duration::from_secs(20)).await,
            "the kernel did not stop"
        );
        assert!(!self.tasks.has_failed(), "a task of the kernel panicked");
    }

    /// The sum of a counter or gauge over its labels.
    pub(crate) fn metric(&self, name: &str) -> usize {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let lines: BTreeMap<&str, usize> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
            .collect();
        let of_name = |(full, _): &(&&str, &usize)| full.split('{').next() == Some(name);
        lines.iter().filter(of_name).map(|(_, value)| value).sum()
    }
}

/// Warnings to the test's output, spans to a real tracer.
pub(crate) fn observe() {
    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    use tracing_subscriber::{Layer, filter::LevelFilter};
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        opentelemetry::global::set_text_map_propagator(
            opentelemetry_sdk::propagation::TraceContextPropagator::new(),
        );
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let lines = tracing_subscriber::fmt::layer().with_test_writer();
        tracing_subscriber::registry()
            .with(spans.with_filter(LevelFilter::INFO))
            .with(lines.with_filter(LevelFilter::WARN))
            .init();
    });
}
