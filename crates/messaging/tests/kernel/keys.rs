//! An operator's request that comes again with its key: done once, and answered as before.

use messaging::once::{KeyError, RequestKey};
use messaging::operations::{Act, Filter, Letter, Mandate, OperationError};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::broker::Broker;
use crate::desk::{because, mandate, sick_orders};
use crate::tally::{cure, listening};
use crate::world::{Database, Running, Setup, until};

/// Dies at its first failure, and forgets soon what is to be forgotten.
fn impatient(broker: &Broker, database: &Database) -> Running {
    Setup::new(broker, database)
        .limits(|limits| {
            limits.retry_delays_ms = vec![];
            limits.retention_interval_ms = 200;
        })
        .start(listening())
}

fn key(actor: Uuid, key: &str, request: &str) -> RequestKey {
    RequestKey {
        actor,
        key: key.to_owned(),
        hash: request.as_bytes().to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_asked_for_again_is_not_made_again() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    sick_orders(&broker, 1).await;
    let id = service.open_letter().await.id;
    let why = because("asked for ten times");
    let (mine, others) = (
        key(why.actor, "k", "replay"),
        key(Uuid::from_u128(7), "k", "replay"),
    );
    let view = |letter: &Letter| json!({"state": letter.state, "deaths": letter.deaths});
    let replay = |key| {
        service
            .operations
            .act_once(id, Act::Replay, &why, Some(key), view)
    };

    // ten times at once, and again after it has died once more
    let answers = futures::future::join_all((0..10).map(|_| replay(&mine))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    service.until_letter(id, "open").await;
    let late = replay(&mine).await.unwrap();
    assert!(late.repeated);
    for answer in answers.iter().chain([&late]) {
        assert_eq!(answer.document, json!({"state": "replaying", "deaths": 1}));
    }
    assert_eq!(service.operations.letter(id).await.unwrap().deaths, 2);
    assert_eq!(database.number("select count(*) from operation_audit").await, 1);

    // the key stands for that request alone, and for that operator
    let other_request = key(why.actor, "k", "discard");
    let refused = replay(&other_request).await;
    assert!(
        matches!(refused, Err(OperationError::Key(KeyError::Mismatch))),
        "{refused:?}"
    );
    assert!(!replay(&others).await.unwrap().repeated);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_leaves_its_key_free() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    sick_orders(&broker, 1).await;
    let id = service.open_letter().await.id;
    let (why, view) = (mandate(), |_: &_| Value::Null);
    let key = key(why.actor, "k", "restore");
    let restore = || {
        service
            .operations
            .act_once(id, Act::Restore, &why, Some(&key), view)
    };
    assert!(
        !restore().await.unwrap().repeated,
        "an open letter is where it should be"
    );
    service.act(id, Act::Discard).await.unwrap();
    assert!(restore().await.unwrap().repeated);

    let unknown = Uuid::from_u128(1);
    let fresh = key_of(&why, "another");
    for _again in 0..2 {
        let refused = service
            .operations
            .act_once(unknown, Act::Replay, &why, Some(&fresh), view)
            .await;
        assert!(matches!(refused, Err(OperationError::NotFound)), "{refused:?}");
    }
    assert_eq!(database.number("select count(*) from operation_key").await, 1);
    service.stop().await;
}

fn key_of(why: &Mandate, text: &str) -> RequestKey {
    key(why.actor, text, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_replay_that_is_asked_for_again_is_the_same_job_also_after_its_end() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    let orders = sick_orders(&broker, 3).await;
    service.open_letters(3).await;
    for order in &orders {
        cure(*order);
    }
    let (all, why) = (Filter::default(), because("well again"));
    let key = key_of(&why, "all");
    let begin = || service.operations.replay_many(&all, 1_000, &why, Some(&key));
    let first = begin().await.unwrap();
    let id: Uuid = first.document["id"].as_str().unwrap().parse().unwrap();
    service
        .until_job(id, "finished", |job| job["state"] == "finished")
        .await;
    let again = begin().await.unwrap();
    assert_eq!((again.document, again.repeated), (first.document, true));

    // and in the list of jobs it is one, where each is found by its state
    let listed = |state: Option<&'static str>, before| service.operations.jobs(state, before, 10);
    let jobs = listed(None, None).await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0], service.operations.job(id).await.unwrap());
    assert_eq!(listed(Some("finished"), None).await.unwrap().len(), 1);
    assert!(listed(Some("running"), None).await.unwrap().is_empty());
    assert!(listed(None, Some(id)).await.unwrap().is_empty());

    // keys are forgotten after their time
    database
        .execute("update operation_key set created_at = now() - interval '25 hours'")
        .await;
    until("the key is forgotten", async || {
        database.number("select count(*) from operation_key").await == 0
    })
    .await;
    service.stop().await;
}
