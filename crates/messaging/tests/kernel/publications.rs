//! Publications that Kafka refuses, and what operators do about them.

use diesel_async::SimpleAsyncConnection;
use messaging::operations::{Act, Filter, OperationError};

use crate::broker::Broker;
use crate::relaying::{CONFIRMED, append, confirmed, limit, noise};
use crate::tally::listening;
use crate::topic::read;
use crate::world::{Database, Setup, until};

const SMALL: usize = 20_000;
const LARGE: usize = 900_000;
const OUTBOX: &str = "select count(*) from outbox";

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_publication_is_one_letter_until_kafka_takes_it() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    limit(&broker, SMALL).await;
    let service = Setup::new(&broker, &database).start(listening());
    database.execute(&append(CONFIRMED, "a", &noise(50))).await;
    let letter = service.open_letter().await;
    assert_eq!(
        (
            letter.kind.as_str(),
            letter.name.as_str(),
            letter.error_class.as_deref()
        ),
        ("publication", CONFIRMED, Some("record-too-large"))
    );
    let replay = || service.act(letter.id, Act::Replay);

    // pressed ten times: refused once more, and the same letter again
    for click in futures::future::join_all((0..10).map(|_| replay())).await {
        click.unwrap();
    }
    until("it is dead again", async || {
        let now = service.operations.letter(letter.id).await.unwrap();
        now.state == "open" && now.deaths >= 2
    })
    .await;
    let again = service.open_letter().await;
    assert_eq!(again.id, letter.id);
    assert_eq!(again.first_failed_at, letter.first_failed_at);
    assert!(again.last_failed_at > letter.last_failed_at);
    let clicks = database.audited(letter.id).await.len();
    assert_eq!(
        usize::try_from(again.deaths).unwrap(),
        1 + clicks,
        "a death for each replay"
    );
    let row = database.texts("select id || ' ' || state from work").await;
    assert_eq!(row, [format!("{} dead", letter.id)]);
    database.until_zero(OUTBOX).await;
    let announced = read(broker.address(), "order.failed.dlq").await;
    assert_eq!(announced.len(), 1 + clicks);
    let id = letter.id.to_string();
    assert!(
        announced
            .iter()
            .all(|record| record.header("x-dead-letter-id") == Some(&id))
    );

    // it can be given up and taken back
    for (act, state) in [(Act::Discard, "discarded"), (Act::Restore, "open")] {
        let now = service.act(letter.id, act).await.unwrap();
        assert_eq!(now.state, state);
    }

    limit(&broker, LARGE).await;
    replay().await.unwrap();
    service.until_letter(letter.id, "replayed").await;
    let records = confirmed(&broker).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].payload, letter.payload);
    assert_eq!(records[0].header("n"), Some("1"));
    assert_eq!(
        records[0].headers.len(),
        1,
        "as it would have been: {:?}",
        records[0].headers
    );
    database.until_zero(OUTBOX).await;
    assert_eq!(database.number("select count(*) from work").await, 0);
    assert_eq!(database.number("select count(*) from dead_letter").await, 1);
    replay().await.unwrap();
    assert_eq!(
        database.number(OUTBOX).await,
        0,
        "what is on kafka is not sent again"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_publication_goes_out_in_the_place_of_the_refused_one() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    limit(&broker, SMALL).await;
    let service = Setup::new(&broker, &database).start(listening());
    database.execute(&append(CONFIRMED, "a", &noise(50))).await;
    let letter = service.open_letter().await;
    let edit = |payload: Vec<u8>| service.act(letter.id, Act::Edit(payload));
    let none = edit(b"shorter".to_vec()).await;
    assert!(matches!(none, Err(OperationError::Invalid(_))), "{none:?}");
    let shorter = serde_json::to_vec(&crate::tally::confirmed(chassis::clock::new_id())).unwrap();
    let by = edit(shorter.clone()).await.unwrap().superseded_by.unwrap();
    service.until_letter(by, "replayed").await;
    assert_eq!(edit(shorter.clone()).await.unwrap().superseded_by, Some(by));
    database.until_zero(OUTBOX).await;
    let records = confirmed(&broker).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].payload.as_deref(), Some(shorter.as_slice()));
    assert_eq!(records[0].key_text(), "a");
    assert_eq!(database.number("select count(*) from work").await, 0);
    let states = "select state from dead_letter order by id";
    assert_eq!(database.texts(states).await, ["superseded", "replayed"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_replay_of_publications_halts_when_they_are_refused_again() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    limit(&broker, SMALL).await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| {
            limits.replay_halt_after = 2;
            limits.replay_in_flight = 1;
            limits.replay_poll_ms = 20;
        })
        .start(listening());
    let batch: Vec<String> = (0..6).map(|_| append(CONFIRMED, "a", &noise(50))).collect();
    database.conn().batch_execute(&batch.join(";")).await.unwrap();
    service.open_letters(6).await;
    let replay = async || {
        let job = service.replay_many(&Filter::default(), 1_000, false).await;
        job["id"].as_str().unwrap().parse().unwrap()
    };
    let halted = replay().await;
    service
        .until_job(halted, "halted", |job| job["state"] == "halted")
        .await;
    assert_eq!(service.operations.job(halted).await.unwrap()["replayed"], 2);
    service.open_letters(6).await;
    limit(&broker, LARGE).await;
    let all = replay().await;
    service
        .until_job(all, "finished", |job| job["state"] == "finished")
        .await;
    database.until_zero(OUTBOX).await;
    let distinct = "select count(*) from dead_letter where state = 'replayed'";
    assert_eq!(database.number(distinct).await, 6);
    assert_eq!(database.number("select count(*) from work").await, 0);
    let mut payloads: Vec<_> = confirmed(&broker)
        .await
        .into_iter()
        .map(|record| record.payload)
        .collect();
    payloads.sort_unstable();
    payloads.dedup();
    assert_eq!(payloads.len(), 6);
    service.stop().await;
}
