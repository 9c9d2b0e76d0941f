//! Retention beside long readers, other schema changes and a process that died halfway: it waits for no table, nobody
//! waits for it, and in the end it is done.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use messaging::MessagingSettings;
use messaging::retention::{Upkeep, keep_partitions};

use crate::broker::{Broker, Sent};
use crate::tally::listening;
use crate::world::{Database, Running, Setup, until};

const RETENTION: u32 = 14;
const PENDING: &str = "select count(*) from pg_inherits where inhdetachpending";
/// Tables of ids, partitions or not.
const TABLES: &str =
    "select relname from pg_class where relkind = 'r' and relname like 'processed_event_%' order by 1";
/// Statements that wait for a table, other than those of the job.
const HELD_UP: &str = "select count(*) from pg_stat_activity where datname = current_database()
    and wait_event_type = 'Lock' and wait_event = 'relation'
    and query not ilike 'alter table processed_event %' and query not ilike 'drop table processed_event_%'
    and query not ilike 'create table processed_event_%'";
const LAST_SUCCESS: &str = "messaging_retention_last_success_timestamp_seconds";

fn table(now: DateTime<Utc>, day: i64) -> String {
    format!(
        "processed_event_{}",
        (now + TimeDelta::days(day)).format("%Y%m%d")
    )
}

/// As a job left them that last ran `days` days ago.
async fn kept(database: &mut Database, now: DateTime<Utc>, days: i64) {
    let then = now - TimeDelta::days(days);
    let upkeep = keep_partitions(database.conn(), then, RETENTION).await.unwrap();
    assert_eq!(upkeep, Upkeep::Done);
}

async fn session(database: &Database, sql: &str) -> AsyncPgConnection {
    let mut conn = AsyncPgConnection::establish(&database.url).await.unwrap();
    conn.batch_execute(sql).await.unwrap();
    conn
}

/// As `pg_dump` is one: a snapshot, and a lock on the table and all its partitions, until the session ends.
async fn reader(database: &Database) -> AsyncPgConnection {
    let read = "begin isolation level repeatable read; select count(*) from processed_event";
    session(database, read).await
}

/// Never at rest.
fn eager(limits: &mut MessagingSettings) {
    limits.retention_retry_ms = 20;
    limits.retention_lock_timeout_ms = 200;
}

async fn has(database: &mut Database, table: &str) -> bool {
    database.texts(TABLES).await.iter().any(|found| found == table)
}

async fn until_retained(service: &Running) {
    until("retention is done", async || service.metric(LAST_SUCCESS) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_long_reader_retention_gives_way_and_holds_nobody_up() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let now = chassis::clock::now();
    kept(&mut database, now, 4).await;
    let (expired, ahead) = (table(now, -16), table(now, 7));
    assert!(has(&mut database, &expired).await && !has(&mut database, &ahead).await);
    let reader = reader(&database).await;
    let mut watcher = session(&database, "set statement_timeout = '10s'").await;

    let service = Setup::new(&broker, &database).limits(eager).start(listening());
    let order = chassis::clock::new_id();
    let mut longest = Duration::ZERO;
    for round in 1..=40_usize {
        let sent = Instant::now();
        broker.produce(&[Sent::new(order, &round.to_string())]).await;
        until("it is processed", async || {
            assert_eq!(database.number(HELD_UP).await, 0, "somebody waits behind the job");
            watcher
                .batch_execute("select 1 from processed_event limit 1")
                .await
                .unwrap();
            database.seen(order).await.len() == round
        })
        .await;
        // the first finds a consumer that has no assignment yet
        if round > 1 {
            longest = longest.max(sent.elapsed());
        }
    }
    println!("the longest way of an event beside the reader: {longest:?}");
    assert!(
        has(&mut database, &ahead).await,
        "made although the table is read"
    );
    assert!(has(&mut database, &expired).await, "not dropped while it is read");
    assert_eq!(database.number(PENDING).await, 1);
    assert_eq!(service.metric(LAST_SUCCESS), 0, "and that shows");

    drop(reader);
    until_retained(&service).await;
    let tables = database.texts(TABLES).await;
    assert_eq!(tables.first(), Some(&table(now, -15)), "{tables:?}");
    assert_eq!(tables.last(), Some(&ahead), "{tables:?}");
    assert_eq!(tables.len(), 15 + 1 + 7);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_a_partition_that_it_needs_and_for_no_other_maintenance() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (now, order) = (chassis::clock::now(), chassis::clock::new_id());
    kept(&mut database, now, 4).await;
    // another change of the schema: no partition can be made or dropped
    let change = "begin; lock table processed_event in share update exclusive mode";
    let other = session(&database, change).await;
    let start = |database: &Database| {
        let setup = Setup::new(&broker, database);
        setup.limits(eager).start(listening())
    };
    let service = start(&database);
    broker.produce(&[Sent::new(order, "1")]).await;
    database.until_seen(order, &["1"]).await;
    assert!(!has(&mut database, &table(now, 7)).await);
    assert_eq!(service.metric(LAST_SUCCESS), 0);
    service.stop().await;

    drop(other);
    let today = table(now, 0);
    database.execute(&format!("drop table {today}")).await;
    let other = session(&database, change).await;
    let service = start(&database);
    broker.produce(&[Sent::new(order, "2")]).await;
    until("a replica tries to make it", async || {
        let tries = format!(
            "select count(*) from pg_stat_activity where datname = current_database()
             and wait_event_type = 'Lock' and query like 'create table {today}%'"
        );
        database.number(&tries).await == 1
    })
    .await;
    assert_eq!(database.seen(order).await, ["1"]);
    drop(other);
    database.until_seen(order, &["1", "2"]).await;
    until_retained(&service).await;
    assert!(has(&mut database, &table(now, 7)).await);
    service.stop().await;
}

/// Whatever a job that died left behind, the next one brings it to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_detached_by_half_is_dropped_or_attached_again() {
    let mut database = Database::create().await;
    let now = chassis::clock::now();
    kept(&mut database, now, 0).await;
    let kept_id = crate::dead_letters::id_of(now - TimeDelta::days(14));
    database
        .execute(&format!("insert into processed_event values ('{kept_id}')"))
        .await;
    let detach_by_half = async |database: &mut Database, day| {
        let reader = reader(database).await;
        let mut job = session(database, "set lock_timeout = '100ms'").await;
        let name = table(now, day);
        let detach = format!("alter table processed_event detach partition {name} concurrently");
        job.batch_execute(&detach).await.unwrap_err();
        drop(reader);
        assert_eq!(database.number(PENDING).await, 1);
    };
    let count = "select count(*) from processed_event";

    detach_by_half(&mut database, -14).await;
    assert_eq!(database.number(count).await, 0, "its ids are forgotten already");
    kept(&mut database, now, 0).await;
    assert_eq!(
        (database.number(PENDING).await, database.number(count).await),
        (0, 1),
        "it is young enough, and attached again"
    );

    detach_by_half(&mut database, -14).await;
    kept(&mut database, now, -2).await;
    assert_eq!(database.number(PENDING).await, 0);
    assert!(!has(&mut database, &table(now, -14)).await);

    // detached, and died before it was dropped
    let last = table(now, -13);
    database
        .execute(&format!("alter table processed_event detach partition {last}"))
        .await;
    kept(&mut database, now, -3).await;
    assert!(!has(&mut database, &last).await);
}
