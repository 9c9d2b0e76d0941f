//! Bulk replays: paced, bounded, stopped in time, carried on by whoever is there.

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use messaging::MessagingSettings;
use messaging::operations::Filter;
use serde_json::Value;
use uuid::Uuid;

use crate::acting::Aside;
use crate::broker::{Broker, Sent};
use crate::desk::{because, mandate, sick_orders};
use crate::tally::{Fortune, Script, cure, listening, running_errands};
use crate::world::{Database, Running, Setup, until};

/// Letters that are sent round, by the audit.
const SENT_ROUND: &str = "select count(*) from operation_audit where action = 'replay'";

fn setup<'a>(broker: &'a Broker, database: &'a Database) -> Setup<'a> {
    Setup::new(broker, database).limits(|limits| {
        limits.retry_delays_ms = vec![];
        limits.replay_poll_ms = 20;
    })
}

fn start(broker: &Broker, database: &Database, change: impl FnOnce(&mut MessagingSettings)) -> Running {
    setup(broker, database).limits(change).start(listening())
}

fn cure_all(orders: &[Uuid]) {
    for order in orders {
        cure(*order);
    }
}

async fn begin(service: &Running, filter: &Filter, rate: i32) -> Uuid {
    id_of(&service.replay_many(filter, rate, false).await)
}

fn id_of(job: &Value) -> Uuid {
    job["id"].as_str().unwrap().parse().unwrap()
}

fn is(state: &str) -> impl Fn(&Value) -> bool {
    move |job| job["state"] == state
}

async fn each_seen_once(database: &mut Database, orders: &[Uuid]) {
    for order in orders {
        database.until_seen(*order, &["1"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_round_in_their_order_and_never_faster_than_asked() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = start(&broker, &database, |_| {});
    let other = start(&broker, &database, |_| {});
    let orders = sick_orders(&broker, 12).await;
    service.open_letters(orders.len()).await;
    cure_all(&orders);
    let (why, all) = (because("pressed ten times"), Filter::default());
    let clicks = (0..10).map(|_| service.operations.replay_many(&all, 8, &why, None));
    let jobs = futures::future::join_all(clicks).await;
    let ids: Vec<Uuid> = jobs
        .iter()
        .map(|job| id_of(&job.as_ref().unwrap().document))
        .collect();
    let id = ids[0];
    assert_eq!(ids, [id; 10], "one job");
    service.until_job(id, "finished", is("finished")).await;
    let job = service.operations.job(id).await.unwrap();
    let counts = ["matched", "replayed", "failed_again"].map(|count| job[count].as_i64().unwrap());
    assert_eq!(counts, [12, 12, 0]);
    each_seen_once(&mut database, &orders).await;

    // the n-th is sent round n eighths of a second after the job's begin, or later
    let too_early = "select count(*) from dead_letter_job job,
            (select at, row_number() over (order by id) - 1 as before_it from operation_audit
             where action = 'replay') sent
        where sent.at < job.created_at + sent.before_it * interval '1 second' / job.rate_per_second";
    assert_eq!(database.number(too_early).await, 0);
    let sent = "select subject from operation_audit where action = 'replay' order by id";
    let by_age = "select id from dead_letter order by id";
    assert_eq!(database.texts(sent).await, database.texts(by_age).await);
    let by_the_job = format!(
        "select count(*) from operation_audit where action = 'replay' and reason = '{}' and actor = '{}'
            and before->>'state' = 'open' and after->>'job_id' = '{id}'",
        why.reason, why.actor
    );
    assert_eq!(database.number(&by_the_job).await, 12);
    let begun = "select count(*) from operation_audit where action = 'replay-many'";
    assert_eq!(database.number(begun).await, 1);
    other.stop().await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_changes_nothing() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = start(&broker, &database, |_| {});
    let orders = sick_orders(&broker, 5).await;
    service.open_letters(5).await;
    let one = Filter {
        key: Some(orders[3].to_string()),
        ..Filter::default()
    };
    let nobody = Filter {
        fingerprint: Some("unheard of".to_owned()),
        ..Filter::default()
    };
    let before = database.everything().await;
    for (filter, matched) in [(Filter::default(), 5), (one, 1), (nobody, 0)] {
        let told = service.replay_many(&filter, 1_000, true).await;
        assert_eq!(told["matched"], matched);
        assert_eq!(told["id"], Value::Null);
    }
    assert_eq!(database.everything().await, before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_whose_letters_die_again_halts_before_it_has_sent_them_all() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = start(&broker, &database, |limits| {
        limits.replay_halt_after = 3;
        limits.replay_in_flight = 2;
    });
    let orders = sick_orders(&broker, 12).await;
    service.open_letters(12).await;
    let id = begin(&service, &Filter::default(), 1_000).await;
    service.until_job(id, "halted", is("halted")).await;
    let job = service.operations.job(id).await.unwrap();
    let (replayed, failed) = (
        job["replayed"].as_u64().unwrap(),
        job["failed_again"].as_u64().unwrap(),
    );
    // two had failed and two were under way when the last one was sent, at most
    assert!((3..=4).contains(&replayed) && failed >= 3, "{job}");
    service.open_letters(12).await;
    let died_again = "select count(*) from dead_letter where deaths = 2";
    assert_eq!(
        u64::try_from(database.number(died_again).await).unwrap(),
        replayed
    );
    assert_eq!(
        u64::try_from(database.number(SENT_ROUND).await).unwrap(),
        replayed
    );

    // it is mended, and all of them go round
    cure_all(&orders);
    let again = begin(&service, &Filter::default(), 1_000).await;
    service.until_job(again, "finished", is("finished")).await;
    each_seen_once(&mut database, &orders).await;
    assert_eq!(service.operations.job(again).await.unwrap()["replayed"], 12);
    assert_eq!(service.operations.job(id).await.unwrap(), job, "as it ended");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_replay_no_more_letters_are_under_way_than_allowed() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let script = Script::new();
    let orders: Vec<Uuid> = (0..10).map(|_| chassis::clock::new_id()).collect();
    let label = |order: &Uuid| format!("errand {order}");
    for order in &orders {
        script.plan(&label(order), &[Fortune::Fails, Fortune::Waits]);
    }
    let errands: Vec<Sent> = orders
        .iter()
        .map(|order| Sent::new(*order, &label(order)))
        .collect();
    broker.produce(&errands).await;
    let service = setup(&broker, &database)
        .limits(|limits| limits.replay_in_flight = 3)
        .start(running_errands(&script));
    service.open_letters(10).await;
    let id = begin(&service, &Filter::default(), 1_000).await;
    until("three are under way", async || script.begun() == 10 + 3).await;
    let mut looked = Vec::new();
    until("the job has looked several times since", async || {
        let next = database
            .texts("select next_at from dead_letter_job")
            .await
            .remove(0);
        if !looked.contains(&next) {
            looked.push(next);
        }
        looked.len() == 4
    })
    .await;
    let under_way = "select count(*) from dead_letter where state = 'replaying'";
    assert_eq!(database.number(under_way).await, 3);
    assert_eq!(script.begun(), 10 + 3);
    // one of those comes to its end, and one follows; then all
    script.open_gate();
    service.until_job(id, "finished", is("finished")).await;
    for order in &orders {
        let label = label(order);
        database
            .until_seen(*order, &[&label, &format!("done {label}")])
            .await;
        assert_eq!(script.attempts(&label).len(), 2);
    }
    assert_eq!(database.number(SENT_ROUND).await, 10);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_stopped_leaves_the_rest_as_it_was() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = start(&broker, &database, |_| {});
    let orders = sick_orders(&broker, 20).await;
    let letters = service.open_letters(20).await;
    cure_all(&orders);
    let id = begin(&service, &Filter::default(), 2).await;
    let some = |job: &Value| job["replayed"].as_u64().unwrap() >= 2;
    service.until_job(id, "under way", some).await;
    let why = because("too early");
    let clicks = (0..5).map(|_| service.operations.stop_job(id, &why, None));
    let stopped = futures::future::join_all(clicks)
        .await
        .remove(0)
        .unwrap()
        .document;
    assert_eq!(stopped["state"], "stopped");
    let sent = usize::try_from(stopped["replayed"].as_u64().unwrap()).unwrap();
    assert!(sent < letters.len());

    // somebody works on jobs, and not on this one
    let last = Filter {
        key: Some(String::from_utf8(letters[19].key.clone().unwrap()).unwrap()),
        ..Filter::default()
    };
    let other = begin(&service, &last, 1_000).await;
    service.until_job(other, "finished", is("finished")).await;
    assert_eq!(service.operations.job(id).await.unwrap(), stopped);
    assert_eq!(database.number(SENT_ROUND).await, sent + 1);
    service.open_letters(20 - sent - 1).await;
    let ended = service
        .operations
        .stop_job(other, &why, None)
        .await
        .unwrap()
        .document;
    assert_eq!(ended["state"], "finished", "what has ended stays as it is");
    assert_eq!(
        database.audited(id).await[1..],
        ["stop-replay too early running stopped"]
    );
    assert!(database.audited(other).await.len() == 1);

    let rest = begin(&service, &Filter::default(), 1_000).await;
    service.until_job(rest, "finished", is("finished")).await;
    each_seen_once(&mut database, &orders).await;
    assert_eq!(database.number(SENT_ROUND).await, 20);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_replica_was_replaying_another_one_finishes() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let lease = |limits: &mut MessagingSettings| limits.action_lease_ms = 2_000;
    // a process of its own, as far as that goes
    let process = tokio::runtime::Runtime::new().unwrap();
    let crashed = process.block_on_aside(|| start(&broker, &database, lease));
    let orders = sick_orders(&broker, 40).await;
    until("all have died", async || {
        database
            .number("select count(*) from dead_letter where state = 'open'")
            .await
            == 40
    })
    .await;
    cure_all(&orders);
    let operations = crashed.operations.clone();
    let (sender, begun) = tokio::sync::oneshot::channel();
    process.spawn(async move {
        let (all, why) = (Filter::default(), mandate());
        let job = operations.replay_many(&all, 10, &why, None).await;
        let _ = sender.send(id_of(&job.unwrap().document));
    });
    let id = begun.await.unwrap();
    until("some are sent round", async || {
        database.number(SENT_ROUND).await >= 5
    })
    .await;
    process.shutdown_background();
    drop(crashed);
    let sent = database.number(SENT_ROUND).await;
    assert!(sent < 40, "the crash comes in the middle");

    let service = start(&broker, &database, lease);
    service.until_job(id, "finished", is("finished")).await;
    each_seen_once(&mut database, &orders).await;
    assert_eq!(service.operations.job(id).await.unwrap()["replayed"], 40);
    assert_eq!(database.number(SENT_ROUND).await, 40);
    let each = "select count(distinct subject) from operation_audit where action = 'replay'";
    assert_eq!(database.number(each).await, 40);
    let other = "select count(*) from dead_letter where state <> 'replayed' or deaths <> 1";
    assert_eq!(database.number(other).await, 0);
    assert_eq!(database.number("select count(*) from work").await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_an_operator_holds_is_not_forgotten() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = start(&broker, &database, |_| {});
    let orders = sick_orders(&broker, 3).await;
    let letters = service.open_letters(3).await;
    cure_all(&orders);
    let mut operator = AsyncPgConnection::establish(&database.url).await.unwrap();
    let hold = format!(
        "begin; select from dead_letter where id = '{}' for update",
        letters[1].id
    );
    operator.batch_execute(&hold).await.unwrap();
    let id = begin(&service, &Filter::default(), 1_000).await;
    // it has looked once more after the others have come to their end
    let looked = "select next_at from dead_letter_job where state = 'running' and replayed = 2
        and not exists (select from dead_letter where state = 'replaying')";
    let mut looks = Vec::new();
    until("the job waits for the third", async || {
        looks.extend(database.texts(looked).await);
        looks.dedup();
        looks.len() >= 2
    })
    .await;
    operator.batch_execute("rollback").await.unwrap();
    service.until_job(id, "finished", is("finished")).await;
    each_seen_once(&mut database, &orders).await;
    assert_eq!(database.number(SENT_ROUND).await, 3);
    service.stop().await;
}
