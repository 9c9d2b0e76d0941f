//! Dead letters whose purpose is gone.

use messaging::operations::{Act, OperationError};

use crate::broker::{Broker, Sent};
use crate::desk::sick_orders;
use crate::tally::{Fortune, Script, cure, listening, running_errands};
use crate::world::{Database, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_nobody_wants_any_more_is_settled_by_the_service_itself() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (script, order, other) = (Script::new(), chassis::clock::new_id(), chassis::clock::new_id());
    script.plan("errand", &[Fortune::Fails; 4]);
    script.plan("errand of another", &[Fortune::Fails; 4]);
    broker
        .produce(&[Sent::new(order, "errand"), Sent::new(other, "errand of another")])
        .await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.obsolete_check_ms = 50)
        .start(running_errands(&script));
    let letters = service.open_letters(2).await;
    let of = |key: uuid::Uuid| {
        let letter = letters
            .iter()
            .find(|letter| letter.key == Some(key.to_string().into_bytes()));
        letter.unwrap().id
    };
    broker.produce(&[Sent::new(order, "never mind errand")]).await;

    service.until_letter(of(order), "obsolete").await;
    let letter = service.operations.letter(of(order)).await.unwrap();
    assert_eq!(letter.settled_reason.as_deref(), Some("somebody said never mind"));
    assert_eq!(
        service.open_letter().await.id,
        of(other),
        "the other one waits for somebody"
    );
    assert_eq!(database.number("select count(*) from work").await, 1);
    for act in [Act::Replay, Act::Discard, Act::Edit(b"{}".to_vec()), Act::Restore] {
        let refused = service.act(of(order), act).await;
        assert!(matches!(refused, Err(OperationError::Obsolete(why)) if why == "somebody said never mind"));
    }
    let stats = service.operations.stats().await.unwrap();
    assert_eq!(
        (stats.totals.open, stats.totals.obsolete, stats.totals.replayed),
        (1, 1, 0)
    );
    assert_eq!(script.attempts("errand").len(), 4, "it was not tried again");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_would_change_nothing_any_more_is_settled_too() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = Setup::new(&broker, &database)
        .limits(|limits| {
            limits.retry_delays_ms = vec![];
            limits.obsolete_check_ms = 50;
        })
        .start(listening());
    let [order, other] = sick_orders(&broker, 2).await[..] else {
        panic!("two orders")
    };
    service.open_letters(2).await;
    cure(order);
    broker.produce(&[Sent::new(order, "never mind 1")]).await;
    let left = service.open_letters(1).await.remove(0);
    assert_eq!(left.key, Some(other.to_string().into_bytes()));
    assert_eq!(database.seen(order).await, ["never mind 1"]);
    cure(other);
    service.act(left.id, Act::Replay).await.unwrap();
    database.until_seen(other, &["1"]).await;
    service.until_letter(left.id, "replayed").await;
    service.stop().await;
}
