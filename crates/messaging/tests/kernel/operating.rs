//! What operators do about dead letters.

use messaging::operations::{Act, Mandate, OperationError};
use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::tally::{Fortune, Script, running_errands};
use crate::world::{Database, Running, Setup, eventually, until};

fn mandate() -> Mandate {
    Mandate {
        actor: chassis::clock::new_id(),
        reason: "the shop is open again".to_owned(),
    }
}

async fn one_letter(service: &Running) -> Uuid {
    eventually("a dead letter", async || {
        let letters = service
            .operations
            .letters(Some("open"), &messaging::operations::Filter::default(), None, 10)
            .await
            .unwrap();
        letters.first().map(|letter| letter.id)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_replays_at_once_act_once() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (script, order) = (Script::new(), chassis::clock::new_id());
    script.plan("errand", &[Fortune::Fails; 4]);
    broker.produce(&[Sent::new(order, "errand")]).await;
    let service = Setup::new(&broker, &database).start(running_errands(&script));
    let id = one_letter(&service).await;
    let why = mandate();
    let clicks = (0..20).map(|_| service.operations.act(id, Act::Replay, &why));
    for click in futures::future::join_all(clicks).await {
        assert_ne!(click.unwrap().state, "open");
    }
    database.until_seen(order, &["errand", "done errand"]).await;
    until("it is replayed", async || {
        service.operations.letter(id).await.unwrap().state == "replayed"
    })
    .await;
    assert_eq!(script.attempts("errand").len(), 5);
    assert_eq!(database.number("select count(*) from operation_audit").await, 1);
    let late = service.operations.act(id, Act::Discard, &why).await;
    assert!(matches!(late, Err(OperationError::Conflict(_))));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_action_that_is_no_longer_wanted_is_never_performed() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (script, order) = (Script::new(), chassis::clock::new_id());
    script.plan("errand", &[Fortune::Fails; 4]);
    broker.produce(&[Sent::new(order, "errand")]).await;
    let service = Setup::new(&broker, &database).start(running_errands(&script));
    let id = one_letter(&service).await;
    broker.produce(&[Sent::new(order, "never mind errand")]).await;
    database.until_seen(order, &["errand", "never mind errand"]).await;
    service.operations.act(id, Act::Replay, &mandate()).await.unwrap();
    database.until_zero("select count(*) from work").await;
    assert_eq!(script.attempts("errand").len(), 4, "as before the replay");
    assert_eq!(database.seen(order).await, ["errand", "never mind errand"]);
    service.stop().await;
}
