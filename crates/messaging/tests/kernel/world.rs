//! What every story needs: a database, services that come and go, and patience.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::{Duration, Instant};

use chassis::settings::DatabaseSettings;
use chassis::{Connection, Pool, Tasks};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use messaging::metrics::KernelMetrics;
use messaging::{BrokerState, Kernel, MessagingSettings, Repository, Signals};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use stack::postgres::TestDatabase;
use uuid::Uuid;

use crate::broker::Broker;
use crate::tally::TABLE;

pub(crate) const KERNEL: &str = include_str!("../../../../migrations/order/00000000000001_kernel/up.sql");
/// What the kernel's tables have become since, in the order of the migrations.
pub(crate) const LATER: [&str; 5] = [
    include_str!("../../../../migrations/order/00000000000010_operations/up.sql"),
    include_str!("../../../../migrations/order/00000000000011_publications/up.sql"),
    include_str!("../../../../migrations/order/00000000000013_letters/up.sql"),
    include_str!("../../../../migrations/order/00000000000014_letter_states/up.sql"),
    include_str!("../../../../migrations/order/20261130000010_audit_of_everything/up.sql"),
];
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
    for later in LATER {
        conn.batch_execute(later).await.unwrap();
    }
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
        // the stories of the breakers lower it
        breaker_keys: 1_000,
        ..MessagingSettings::default()
    }
}

/// Of a service's database.
pub(crate) fn database_settings(url: &str) -> DatabaseSettings {
    DatabaseSettings {
        url: url.into(),
        pool_size: 8,
        background_pool_size: 8,
        wait_timeout_ms: 2_000,
        statement_timeout_ms: 10_000,
        idle_in_transaction_timeout_ms: 60_000,
        start_timeout_s: 30,
    }
}

/// A running kernel.
pub(crate) struct Running {
    pub(crate) tasks: Tasks,
    pub(crate) pool: Pool,
    pub(crate) signals: Signals,
    pub(crate) broker: BrokerState,
    pub(crate) operations: messaging::operations::Operations,
    registry: Registry,
}

/// What a kernel is started with.
pub(crate) struct Setup<'a> {
    pub(crate) service: &'a str,
    pub(crate) brokers: &'a str,
    pub(crate) database: &'a str,
    pub(crate) settings: MessagingSettings,
    statement_timeout_ms: u64,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(broker: &'a Broker, database: &'a Database) -> Self {
        Self {
            service: SERVICE,
            brokers: broker.address(),
            database: &database.url,
            settings: settings(),
            statement_timeout_ms: 10_000,
        }
    }

    pub(crate) fn service(self, service: &'a str) -> Self {
        Self { service, ..self }
    }

    pub(crate) fn brokers(self, brokers: &'a str) -> Self {
        Self { brokers, ..self }
    }

    pub(crate) fn statement_timeout_ms(self, statement_timeout_ms: u64) -> Self {
        Self {
            statement_timeout_ms,
            ..self
        }
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut MessagingSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// On the runtime that this is called from.
    pub(crate) fn start<R: Repository>(self, participant: messaging::Participant<R>) -> Running {
        observe();
        let pool = chassis::database::background_pool(&DatabaseSettings {
            statement_timeout_ms: self.statement_timeout_ms,
            ..database_settings(self.database)
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
        let operations = kernel.operations();
        kernel.start(&tasks).unwrap();
        Running {
            tasks,
            pool,
            signals,
            broker,
            operations,
            registry,
        }
    }
}

impl Running {
    pub(crate) async fn conn(&self) -> Connection {
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

    /// The sum of a counter or gauge over its labels, or over those that `name` leaves open.
    pub(crate) fn metric(&self, name: &str) -> usize {
        value(&self.registry, name)
    }
}

/// The sum of a counter or gauge over its labels. Of `name{label="value"` only those that begin so count.
pub(crate) fn value(registry: &Registry, name: &str) -> usize {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let lines: BTreeMap<&str, usize> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    let of_name = |(full, _): &(&&str, &usize)| {
        full.split('{').next() == Some(name) || (name.contains('{') && full.starts_with(name))
    };
    lines.iter().filter(of_name).map(|(_, value)| value).sum()
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
