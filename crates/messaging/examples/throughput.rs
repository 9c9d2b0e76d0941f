//! How many messages a second the consumer and the relay move on this machine, with a private PostgreSQL and
//! Apache Kafka beside them.
//!
//!     cargo run --release -p messaging --example throughput

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use chassis::settings::DatabaseSettings;
use chassis::{Tasks, clock};
use clap::Parser;
use contracts::events::{OrderConfirmed, OrderCreated};
use contracts::{
    Aggregate, Context, Currency, Envelope, EventId, Fact, Money, NoAction, OrderId, PaymentId, Reaction,
    Topic, Transition, UserId,
};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use messaging::metrics::KernelMetrics;
use messaging::{Change, Conn, Kernel, MessagingSettings, Participant, Repository, Versioned};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::kafka::{Kafka, client, topics};
use stack::postgres::{Options, Postgres};
use terminal::outln;
use uuid::Uuid;

const MESSAGES: u32 = 100_000;
const LATER: [&str; 3] = [
    include_str!("../../../migrations/order/00000000000010_operations/up.sql"),
    include_str!("../../../migrations/order/00000000000011_publications/up.sql"),
    include_str!("../../../migrations/order/00000000000013_letters/up.sql"),
];
const KERNEL: &str = include_str!("../../../migrations/order/00000000000001_kernel/up.sql");

/// Measures how many messages a second the consumer and the relay move on this machine
#[derive(Debug, Parser)]
struct Arguments {}

#[tokio::main]
async fn main() -> Result<()> {
    Arguments::parse();
    let directory = stack::temporary()?;
    let ports = [
        stack::ports::lease()?,
        stack::ports::lease()?,
        stack::ports::lease()?,
    ];
    let [database, broker, controller] = ports.each_ref().map(stack::ports::Lease::port);
    let postgres = Postgres::start(Options::new(directory.path().join("postgres"), database)).await?;
    let mut options = stack::kafka::Options::new(directory.path().join("kafka"), broker, controller);
    options.throughput = true;
    let kafka = Kafka::start(options).await?;
    topics::ensure(kafka.bootstrap(), &topics::Plan::default()).await?;
    let url = postgres.ensure_database("order", "secret").await?;
    let mut conn = AsyncPgConnection::establish(&url).await?;
    conn.batch_execute(KERNEL).await?;
    for later in LATER {
        conn.batch_execute(later).await?;
    }
    conn.batch_execute("create table sums (id uuid primary key, version bigint not null)")
        .await?;

    produce(kafka.bootstrap()).await?;
    let consumed = consume(kafka.bootstrap(), &url, &mut conn, listen).await?;
    report("consumer: dedupe, load, save, commit", MESSAGES, consumed);
    conn.batch_execute("truncate processed_event, sums").await?;
    let both = consume(kafka.bootstrap(), &url, &mut conn, announce).await?;
    report("consumer that announces, and relay", MESSAGES, both);
    let relayed = relay(kafka.bootstrap(), &url, &mut conn).await?;
    report("relay alone", MESSAGES, relayed);
    Ok(())
}

fn report(what: &str, messages: u32, took: Duration) {
    let rate = f64::from(messages) / took.as_secs_f64();
    outln!("{what}: {messages} in {took:.2?}, {rate:.0}/s");
}

/// A tenth as many keys as messages.
async fn produce(brokers: &str) -> Result<()> {
    let producer: FutureProducer = client(brokers)
        .set("linger.ms", "20")
        .set("queue.buffering.max.messages", "1000000")
        .create()?;
    let orders: Vec<Uuid> = (0..MESSAGES / 10).map(|_| clock::new_id()).collect();
    let mut deliveries = Vec::new();
    for order in orders.iter().cycle().take(usize::try_from(MESSAGES)?) {
        let body = serde_json::to_vec(&fact(*order))?;
        let headers = envelope(*order).to_headers().into_iter();
        let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            let value = Some(&value);
            headers.insert(Header { key, value })
        });
        let key = order.to_string();
        let record = FutureRecord::to(Topic::OrderCreated.name())
            .key(&key)
            .payload(&body)
            .headers(headers);
        deliveries.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for delivery in deliveries {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}

fn fact(order: Uuid) -> OrderCreated {
    OrderCreated {
        order_id: OrderId::new(order),
        customer_id: UserId::new(order),
        items: Vec::new(),
        total: Money::new(1_999, Currency::EUR),
        payment_method: "pm_card_visa".to_owned(),
    }
}

fn envelope(order: Uuid) -> Envelope {
    Envelope {
        id: EventId::new(clock::new_id()),
        name: OrderCreated::TOPIC.name().to_owned(),
        major: OrderCreated::MAJOR,
        source: "order".to_owned(),
        time: clock::now(),
        key: order,
        sequence: 1,
        correlation_id: order,
        causation_id: order,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        tracestate: None,
    }
}

type Listen = fn(Option<Sum>, &OrderCreated, &Context) -> Reaction<Sum>;

async fn consume(
    brokers: &str,
    url: &str,
    conn: &mut AsyncPgConnection,
    reaction: Listen,
) -> Result<Duration> {
    let begin = Instant::now();
    // a group of its own each time: from the beginning
    let group = format!("order-{}", clock::new_id());
    let tasks = start(&group, brokers, url, Participant::new(Sums).on(reaction))?;
    let messages = i64::from(MESSAGES);
    while number(conn, "select count(*) as number from processed_event").await? < messages
        || number(conn, "select count(*) as number from outbox").await? > 0
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = begin.elapsed();
    tasks.finish(Duration::from_secs(10)).await;
    Ok(took)
}

async fn relay(brokers: &str, url: &str, conn: &mut AsyncPgConnection) -> Result<Duration> {
    let order = clock::new_id();
    let headers = serde_json::to_string(&envelope(order).to_headers())?;
    let body = serde_json::to_string(&fact(order))?;
    let fill = format!(
        "insert into outbox (event_id, topic, key, headers, payload)
         select gen_random_uuid(), 'order.confirmed', convert_to(gen_random_uuid()::text, 'UTF8'),
                '{headers}', convert_to('{body}', 'UTF8')
         from generate_series(1, {MESSAGES})"
    );
    conn.batch_execute(&fill).await?;
    let begin = Instant::now();
    let tasks = start("relay", brokers, url, Participant::new(Sums))?;
    while number(
        conn,
        "select count(*) as number from (select 1 from outbox limit 1) first",
    )
    .await?
        > 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = begin.elapsed();
    tasks.finish(Duration::from_secs(10)).await;
    Ok(took)
}

fn start(group: &str, brokers: &str, url: &str, participant: Participant<Sums>) -> Result<Tasks> {
    let pool = chassis::database::background_pool(&DatabaseSettings {
        url: url.into(),
        pool_size: 8,
        background_pool_size: 8,
        wait_timeout_ms: 3_000,
        statement_timeout_ms: 10_000,
        idle_in_transaction_timeout_ms: 60_000,
        start_timeout_s: 30,
    })?;
    let kernel = Kernel::builder(group, brokers, pool, MessagingSettings::default())
        .participant(participant)
        .metrics(KernelMetrics::default())
        .build()?;
    let tasks = Tasks::new();
    kernel.start(&tasks)?;
    Ok(tasks)
}

async fn number(conn: &mut AsyncPgConnection, sql: &str) -> Result<i64> {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let row: Number = diesel::sql_query(sql).get_result(conn).await.context("a count")?;
    Ok(row.number)
}

/// Counts how often it was saved; that is all.
#[derive(Debug, Clone, Default)]
struct Sum {
    sequence: u64,
}

impl Aggregate for Sum {
    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

fn listen(sum: Option<Sum>, _: &OrderCreated, _: &Context) -> Reaction<Sum> {
    Ok(Transition::to(sum.unwrap_or_default()).into())
}

fn announce(sum: Option<Sum>, fact: &OrderCreated, _: &Context) -> Reaction<Sum> {
    let confirmed = OrderConfirmed {
        order_id: fact.order_id,
        customer_id: fact.customer_id,
        payment_id: PaymentId::new(fact.order_id.uuid()),
        total: fact.total,
    };
    Ok(Transition::to(sum.unwrap_or_default()).announce(confirmed).into())
}

struct Sums;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

#[async_trait]
impl Repository for Sums {
    type State = Sum;
    type Action = NoAction;

    async fn load(&self, conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Sum>)>> {
        let rows: Vec<Row> =
            diesel::sql_query("select id, version from sums where id = any($1) order by id for update")
                .bind::<Array<SqlUuid>, _>(ids)
                .load(conn)
                .await?;
        let versioned = |row: Row| {
            let (version, state) = (row.version, Sum::default());
            (row.id, Versioned { version, state })
        };
        Ok(rows.into_iter().map(versioned).collect())
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<Sum>]) -> QueryResult<usize> {
        let (ids, versions): (Vec<Uuid>, Vec<i64>) =
            changes.iter().map(|change| (change.id, change.version)).unzip();
        diesel::sql_query(
            "insert into sums select * from unnest($1, $2)
             on conflict (id) do update set version = excluded.version where sums.version = excluded.version - 1",
        )
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<BigInt>, _>(versions)
        .execute(conn)
        .await
    }
}
