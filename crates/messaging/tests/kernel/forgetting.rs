//! What is forgotten in time, and what never is: with a clock that is moved.

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use messaging::operations::{Act, LetterQuery, OperationError};
use messaging::retention::{Upkeep, forget_letters, keep_partitions};

use crate::broker::{Broker, Sent};
use crate::dead_letters::id_of;
use crate::desk::{mandate, sick_orders};
use crate::tally::{Fortune, Script, cure, listening, running_errands};
use crate::world::{Database, Running, Setup, until};

const PARTITIONS: &str = "select relname from pg_class join pg_inherits on oid = inhrelid
    where inhparent = 'processed_event'::regclass order by 1";
const RETENTION: u32 = 14;

/// The names of the partitions of the days from `first` to `last`, counted from `now`.
fn days(now: DateTime<Utc>, first: i64, last: i64) -> Vec<String> {
    (first..=last)
        .map(|day| {
            format!(
                "processed_event_{}",
                (now + TimeDelta::days(day)).format("%Y%m%d")
            )
        })
        .collect()
}

async fn keep(database: &mut Database, now: DateTime<Utc>) {
    let upkeep = keep_partitions(database.conn(), now, RETENTION).await.unwrap();
    assert_eq!(upkeep, Upkeep::Done);
}

/// One id in each partition.
async fn an_id_a_day(database: &mut Database, now: DateTime<Utc>, first: i64, last: i64) {
    for day in first..=last {
        let id = id_of(now + TimeDelta::days(day));
        database
            .execute(&format!("insert into processed_event values ('{id}')"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_made_ahead_and_dropped_behind_as_the_clock_moves() {
    let mut database = Database::create().await;
    let now = chassis::clock::now();
    keep(&mut database, now).await;
    assert_eq!(database.texts(PARTITIONS).await, days(now, -14, 7));
    an_id_a_day(&mut database, now, -14, 7).await;

    // a day later, on three replicas at once: one day more ahead, and still one more behind than asked for
    let later = now + TimeDelta::days(1);
    let url = &database.url;
    let replicas = (0..3).map(async |_| {
        let mut conn = AsyncPgConnection::establish(url).await.unwrap();
        keep_partitions(&mut conn, later, RETENTION).await.unwrap()
    });
    let upkeep = futures::future::join_all(replicas).await;
    assert!(upkeep.contains(&Upkeep::Done), "{upkeep:?}");
    assert_eq!(database.texts(PARTITIONS).await, days(now, -14, 8));

    let later = now + TimeDelta::days(10);
    keep(&mut database, later).await;
    assert_eq!(database.texts(PARTITIONS).await, days(later, -15, 7));
    let kept = "select count(*) from processed_event";
    assert_eq!(
        database.number(kept).await,
        7 + 1 + 5,
        "of the 22, with their days"
    );

    // the job was away for longer than it works ahead
    let later = now + TimeDelta::days(60);
    keep(&mut database, later).await;
    assert_eq!(database.texts(PARTITIONS).await, days(later, -14, 7));
    assert_eq!(database.number(kept).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_id_is_forgotten_is_parked_and_never_processed_again() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let order = chassis::clock::new_id();
    let made = chassis::clock::now() - TimeDelta::days(11);
    let event = Sent::with_id(id_of(made), order, "1");
    let start = |database: &Database, days| {
        Setup::new(&broker, database)
            .limits(|limits| {
                limits.retry_delays_ms = vec![];
                limits.dedupe_retention_days = days;
            })
            .start(listening())
    };
    let service = start(&database, 14);
    broker.produce(&[event.clone(), event.clone()]).await;
    database.until_seen(order, &["1"]).await;
    until("the second is a duplicate", async || {
        service.metric("messaging_duplicates_total") == 1
    })
    .await;
    service.stop().await;

    // five days later, as far as ids are concerned
    let service = start(&database, 9);
    database.until_zero("select count(*) from processed_event").await;
    broker.produce(&[event]).await;
    let letter = service.open_letter().await;
    assert_eq!(letter.error_class.as_deref(), Some("expired"));
    service.act(letter.id, Act::Replay).await.unwrap();
    until("it has died again", async || {
        service.operations.letter(letter.id).await.unwrap().deaths == 2
    })
    .await;
    assert_eq!(database.seen(order).await, ["1"], "once");
    service.stop().await;
}

const LONG: TimeDelta = TimeDelta::days(91);

async fn forget(conn: &mut AsyncPgConnection) -> usize {
    forget_letters(conn, chassis::clock::now() + LONG, 90)
        .await
        .unwrap()
}

fn impatient(broker: &Broker, database: &Database) -> Running {
    Setup::new(broker, database)
        .limits(|limits| limits.retry_delays_ms = vec![])
        .start(listening())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_letters_that_were_settled_long_ago_are_forgotten() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (script, order) = (Script::new(), chassis::clock::new_id());
    let ends = ["open", "replaying", "replayed", "discarded", "superseded"];
    for end in ends {
        let then = if end == "replaying" {
            vec![Fortune::Fails, Fortune::Waits]
        } else {
            vec![Fortune::Fails]
        };
        script.plan(&format!("errand {end}"), &then);
    }
    let errands: Vec<Sent> = ends
        .iter()
        .map(|end| Sent::new(order, &format!("errand {end}")))
        .collect();
    broker.produce(&errands).await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.retry_delays_ms = vec![])
        .start(running_errands(&script));
    for letter in service.open_letters(5).await {
        let errand: serde_json::Value = serde_json::from_slice(letter.payload.as_deref().unwrap()).unwrap();
        let act = match errand["label"].as_str().unwrap() {
            "errand replaying" | "errand replayed" => Act::Replay,
            "errand discarded" => Act::Discard,
            "errand superseded" => Act::Edit(letter.payload.clone().unwrap()),
            _ => continue,
        };
        service.act(letter.id, act).await.unwrap();
    }
    let states = "select state from dead_letter order by state collate \"C\"";
    // the edited one is a letter too
    let all = [
        "discarded",
        "open",
        "replayed",
        "replayed",
        "replaying",
        "superseded",
    ];
    until("each has its state", async || database.texts(states).await == all).await;
    let now = chassis::clock::now();
    assert_eq!(forget_letters(database.conn(), now, 90).await.unwrap(), 0);
    let soon = now + TimeDelta::days(89);
    assert_eq!(forget_letters(database.conn(), soon, 90).await.unwrap(), 0);
    assert_eq!(forget(database.conn()).await, 4);
    assert_eq!(database.texts(states).await, ["open", "replaying"]);
    let work = "select state from work order by state";
    assert_eq!(database.texts(work).await, ["dead", "pending"], "and their work");
    script.open_gate();
    until("it is replayed", async || {
        database.texts(states).await == ["open", "replayed"]
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_taken_back_while_old_ones_are_forgotten_is_there_or_gone_but_never_torn() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    let orders = sick_orders(&broker, 60).await;
    let letters = service.open_letters(60).await;
    for order in &orders {
        cure(*order);
    }
    let mut forgetter = AsyncPgConnection::establish(&database.url).await.unwrap();
    let mut taken_back = Vec::new();
    for (round, some) in letters.chunks(4).enumerate() {
        for letter in some {
            service.act(letter.id, Act::Discard).await.unwrap();
        }
        let why = mandate();
        let restores = some
            .iter()
            .map(|letter| service.operations.act(letter.id, Act::Restore, &why));
        // some rounds give the operator a start
        let forgetting = async {
            for _look in 0..round % 6 {
                service
                    .operations
                    .letters(&LetterQuery::default(), 1)
                    .await
                    .unwrap();
            }
            forget(&mut forgetter).await
        };
        let (answers, forgotten) = tokio::join!(futures::future::join_all(restores), forgetting);
        let mut gone = 0;
        for (letter, answer) in some.iter().zip(answers) {
            let found = service.operations.letter(letter.id).await;
            let work = format!("select count(*) from work where id = '{}'", letter.id);
            match answer {
                Ok(restored) => {
                    assert_eq!(
                        (restored.state.as_str(), found.unwrap().state.as_str()),
                        ("open", "open")
                    );
                    assert_eq!(database.number(&work).await, 1);
                    taken_back.push(letter.id);
                }
                Err(OperationError::NotFound) => {
                    assert!(matches!(found, Err(OperationError::NotFound)));
                    assert_eq!(database.number(&work).await, 0);
                    gone += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(gone, forgotten);
    }
    println!("{} of 60 were taken back in time", taken_back.len());
    for id in &taken_back {
        service.act(*id, Act::Replay).await.unwrap();
    }
    database.until_zero("select count(*) from work").await;
    assert_eq!(
        database.number("select count(*) from tally").await,
        taken_back.len()
    );
    service.stop().await;
}

/// Whoever comes second waits or looks elsewhere, and sees what the first has done.
#[tokio::test(flavor = "multi_thread")]
async fn forgetting_and_taking_back_at_the_same_moment_exclude_each_other() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    sick_orders(&broker, 1).await;
    let id = service.open_letter().await.id;
    service.act(id, Act::Discard).await.unwrap();
    let mut first = AsyncPgConnection::establish(&database.url).await.unwrap();
    database.execute("set lock_timeout = '10s'").await;

    let restore = format!("begin; update dead_letter set state = 'open' where id = '{id}'");
    first.batch_execute(&restore).await.unwrap();
    assert_eq!(forget(database.conn()).await, 0, "somebody has it in hand");
    first.batch_execute("commit").await.unwrap();
    assert_eq!(forget(database.conn()).await, 0, "it is open");
    service.act(id, Act::Discard).await.unwrap();

    first.batch_execute("begin").await.unwrap();
    assert_eq!(forget(&mut first).await, 1);
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
        and datname = current_database()";
    let (click, ()) = tokio::join!(service.act(id, Act::Restore), async {
        until("the click waits", async || database.number(waiting).await == 1).await;
        first.batch_execute("commit").await.unwrap();
    });
    assert!(matches!(click, Err(OperationError::NotFound)));
    let restored = "select count(*) from operation_audit where action = 'restore'";
    assert_eq!(database.number(restored).await, 0);
    assert_eq!(database.number("select count(*) from work").await, 0);
    service.stop().await;
}
