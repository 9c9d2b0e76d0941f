//! What operators do about dead letters: each action once, and the audit tells.

use messaging::operations::{Act, Filter, OperationError};
use uuid::Uuid;

use crate::broker::{Broker, Sent, fact};
use crate::desk::{because, mandate, sick_orders};
use crate::tally::{Fortune, Ill, Script, cure, infect, listening, running_errands};
use crate::world::{Database, Running, Setup, until};

/// Dies at its first failure.
fn impatient(broker: &Broker, database: &Database) -> Running {
    Setup::new(broker, database)
        .limits(|limits| limits.retry_delays_ms = vec![])
        .start(listening())
}

fn edited(order: Uuid, label: &str) -> Act {
    Act::Edit(serde_json::to_vec(&fact(order, label)).unwrap())
}

fn contradicts<T>(answer: Result<T, OperationError>) -> bool {
    matches!(answer, Err(OperationError::Conflict(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_replays_at_once_act_once() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (script, order) = (Script::new(), chassis::clock::new_id());
    script.plan("errand", &[Fortune::Fails; 4]);
    broker.produce(&[Sent::new(order, "errand")]).await;
    let service = Setup::new(&broker, &database).start(running_errands(&script));
    let id = service.open_letter().await.id;
    let why = mandate();
    let clicks = (0..20).map(|_| service.operations.act(id, Act::Replay, &why));
    for click in futures::future::join_all(clicks).await {
        assert_ne!(click.unwrap().state, "open");
    }
    database.until_seen(order, &["errand", "done errand"]).await;
    service.until_letter(id, "replayed").await;
    assert_eq!(script.attempts("errand").len(), 5);
    assert_eq!(database.number("select count(*) from operation_audit").await, 1);
    let late = service.operations.act(id, Act::Discard, &why).await;
    assert!(contradicts(late));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_action_that_is_no_longer_wanted_is_never_performed() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (script, order) = (Script::new(), chassis::clock::new_id());
    script.plan("errand", &[Fortune::Fails; 4]);
    broker.produce(&[Sent::new(order, "errand")]).await;
    // nobody looks for it meanwhile
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.obsolete_check_ms = 600_000)
        .start(running_errands(&script));
    let id = service.open_letter().await.id;
    broker.produce(&[Sent::new(order, "never mind errand")]).await;
    database.until_seen(order, &["errand", "never mind errand"]).await;
    service.act(id, Act::Replay).await.unwrap();
    service.until_letter(id, "obsolete").await;
    let letter = service.operations.letter(id).await.unwrap();
    assert_eq!(letter.settled_reason.as_deref(), Some("somebody said never mind"));
    assert_eq!(database.number("select count(*) from work").await, 0);
    assert_eq!(script.attempts("errand").len(), 4, "as before the replay");
    assert_eq!(database.seen(order).await, ["errand", "never mind errand"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discarding_and_restoring_pressed_twice_act_once() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    let order = sick_orders(&broker, 1).await[0];
    let id = service.open_letter().await.id;
    let operations = &service.operations;
    for _pressed_twice in 0..2 {
        let discarded = operations.act(id, Act::Discard, &because("no use")).await;
        assert_eq!(discarded.unwrap().state, "discarded");
    }
    let before = database.everything().await;
    for act in [Act::Replay, edited(order, "2")] {
        assert!(contradicts(service.act(id, act).await));
    }
    assert_eq!(
        database.everything().await,
        before,
        "what is refused changes nothing"
    );
    for _pressed_twice in 0..2 {
        let restored = operations.act(id, Act::Restore, &because("of use")).await;
        assert_eq!(restored.unwrap().state, "open");
    }
    cure(order);
    operations.act(id, Act::Replay, &because("well")).await.unwrap();
    database.until_seen(order, &["1"]).await;
    service.until_letter(id, "replayed").await;
    assert!(contradicts(service.act(id, Act::Restore).await));
    let told = [
        "discard no use open discarded",
        "restore of use discarded open",
        "replay well open replaying",
    ];
    assert_eq!(database.audited(id).await, told);
    assert_eq!(database.number("select count(*) from operation_audit").await, 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_is_none_is_refused_with_all_its_places_and_changes_nothing() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let (script, order) = (Script::new(), chassis::clock::new_id());
    script.plan("errand", &[Fortune::Fails; 4]);
    broker.produce(&[Sent::new(order, "errand")]).await;
    let service = Setup::new(&broker, &database).start(running_errands(&script));
    let action = service.open_letter().await.id;
    let sick = sick_orders(&broker, 1).await[0];
    let letters = service.open_letters(2).await;
    let message = letters.iter().find(|letter| letter.kind == "message").unwrap().id;
    let before = database.everything().await;
    let mut malformed = serde_json::to_value(fact(sick, "2")).unwrap();
    malformed["total"]["amount_minor"] = "a lot".into();
    let other = serde_json::to_value(fact(order, "2")).unwrap();
    let none = serde_json::json!({"foo": 1});
    for (id, payload, pointer) in [
        (message, &malformed, Some("/total/amount_minor")),
        (message, &other, Some("/order_id")),
        (message, &none, None),
        (action, &none, None),
    ] {
        let refused = service.act(id, Act::Edit(payload.to_string().into_bytes())).await;
        let Err(OperationError::Invalid(fields)) = refused else {
            panic!("{payload}: {refused:?}")
        };
        assert!(!fields.is_empty());
        assert!(
            pointer.is_none_or(|pointer| fields[0].pointer == pointer),
            "{fields:?}"
        );
    }
    assert_eq!(database.everything().await, before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_pressed_twice_acts_once_and_another_edit_contradicts() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    let order = sick_orders(&broker, 1).await[0];
    let id = service.open_letter().await.id;
    cure(order);
    let edit = || service.act(id, edited(order, "mended"));
    let (one, two) = tokio::join!(edit(), edit());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(
        (one.state.as_str(), two.state.as_str()),
        ("superseded", "superseded")
    );
    assert_eq!(one.superseded_by, two.superseded_by);
    database.until_seen(order, &["mended"]).await;
    service.until_letter(one.superseded_by.unwrap(), "replayed").await;
    let successor = service
        .operations
        .letter(one.superseded_by.unwrap())
        .await
        .unwrap();
    assert_eq!(
        (successor.edited_from, one.edited_from),
        (Some(id), None),
        "linked both ways"
    );
    let told = "select after->>'payload_changes' from operation_audit where action = 'edit-and-replay'";
    let told: Vec<serde_json::Value> = database
        .texts(told)
        .await
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let changed = serde_json::json!([{"pointer": "/payment_method", "before": "1", "after": "mended"}]);
    assert_eq!(told, [changed], "what it changed, once");
    let other = service.act(id, edited(order, "otherwise"));
    assert!(contradicts(other.await));
    assert_eq!(
        edit().await.unwrap().superseded_by,
        one.superseded_by,
        "much later"
    );
    let told = ["edit-and-replay the shop is open again open superseded"];
    assert_eq!(database.audited(id).await, told);
    assert_eq!(database.number("select count(*) from operation_audit").await, 1);
    assert_eq!(database.number("select count(*) from work").await, 0);
    assert_eq!(database.seen(order).await, ["mended"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_message_keeps_its_place_among_those_of_its_key() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let order = chassis::clock::new_id();
    infect(order, Ill::Rejected);
    let service = Setup::new(&broker, &database)
        .limits(|limits| limits.retry_delays_ms = vec![60_000])
        .start(listening());
    let messages = ["1", "2", "3"].map(|label| Sent::new(order, label));
    broker.produce(&messages).await;
    let states = "select state || ' ' || attempts from work order by seq";
    let stand = async |database: &mut Database, wanted: [&str; 3]| {
        until(&format!("{wanted:?}"), async || {
            database.texts(states).await == wanted
        })
        .await;
    };
    stand(&mut database, ["pending 1", "pending 0", "pending 0"]).await;
    let due = "update work set next_attempt_at = now() where state = 'pending'";
    database.execute(due).await;
    // the first is dead, the second has failed, the third is behind it
    stand(&mut database, ["dead 2", "pending 1", "pending 0"]).await;
    let id = service.open_letter().await.id;
    cure(order);
    let place = "select min(seq) from work";
    let before = database.number(place).await;
    let original = service.act(id, edited(order, "1 mended")).await;
    let mended = original.unwrap().superseded_by.unwrap();
    database.until_seen(order, &["1 mended"]).await;
    service.until_letter(mended, "replayed").await;
    assert_eq!(
        database.number(place).await,
        before + 1,
        "those behind are where they were"
    );
    database.execute(due).await;
    database.until_seen(order, &["1 mended", "2", "3"]).await;
    database.until_zero("select count(*) from work").await;
    service.stop().await;
}

/// Each letter gets ten clicks at the same moment, which contradict each other.
#[tokio::test(flavor = "multi_thread")]
async fn of_ten_different_clicks_at_once_one_wins_and_the_audit_says_which() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    let orders = sick_orders(&broker, 15).await;
    let letters = service.open_letters(orders.len()).await;
    for order in &orders {
        cure(*order);
    }
    for (turn, letter) in letters.iter().enumerate() {
        let order: Uuid = String::from_utf8(letter.key.clone().unwrap())
            .unwrap()
            .parse()
            .unwrap();
        let mut acts: Vec<Act> = (0..10)
            .map(|click| match click % 3 {
                0 => Act::Replay,
                1 => Act::Discard,
                _ => edited(order, &format!("edit {}", click % 2)),
            })
            .collect();
        acts.rotate_left(turn % 10);
        let why = mandate();
        let clicks = acts
            .iter()
            .map(|act| service.operations.act(letter.id, act.clone(), &why));
        let answers = futures::future::join_all(clicks).await;
        let audited = database.audited(letter.id).await;
        assert_eq!(audited.len(), 1, "{audited:?}");
        let winner = audited[0].split(' ').next().unwrap();
        let after = service.operations.letter(letter.id).await.unwrap();
        let payload = match after.superseded_by {
            Some(by) => service.operations.letter(by).await.unwrap().payload.unwrap(),
            None => Vec::new(),
        };
        for (act, answer) in acts.iter().zip(answers) {
            let agrees = match act {
                Act::Replay => winner == "replay",
                Act::Discard => winner == "discard",
                Act::Edit(edit) => winner == "edit-and-replay" && *edit == payload,
                Act::Restore => false,
            };
            assert_eq!(answer.is_ok(), agrees, "{act:?} when {winner} has won");
            assert_eq!(contradicts(answer), !agrees);
        }
        let seen = match winner {
            "replay" => vec!["1".to_owned()],
            "discard" => vec![],
            _ => {
                let fact: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                vec![fact["payment_method"].as_str().unwrap().to_owned()]
            }
        };
        until("it has had its effect", async || {
            database.seen(order).await == seen
        })
        .await;
    }
    let settled = "select count(*) from dead_letter where state in ('open', 'replaying')";
    database.until_zero(settled).await;
    let clicks = "select count(*) from operation_audit";
    assert_eq!(database.number(clicks).await, letters.len());
    let discarded = "select count(*) from dead_letter where state = 'discarded'";
    let kept = database.number(discarded).await;
    assert_eq!(database.number("select count(*) from work").await, kept);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_not_in_the_audit_and_what_cannot_be_audited_does_not_happen() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    sick_orders(&broker, 2).await;
    let letters = service.open_letters(2).await;
    // which of two partitions is read first is not said
    let orders = [0, 1].map(|nth: usize| messaging::uuid_key(letters[nth].key.as_deref()).unwrap());
    let [torn, whole] = [letters[0].id, letters[1].id];
    database
        .execute(&format!("delete from work where id = '{torn}'"))
        .await;
    database
        .execute("alter table operation_audit add constraint silence check (reason <> 'unspeakable')")
        .await;
    let before = database.everything().await;
    for act in [Act::Replay, edited(orders[0], "2")] {
        let refused = service.act(torn, act).await;
        assert!(matches!(refused, Err(OperationError::Conflict(_))), "{refused:?}");
    }
    let unspeakable = because("unspeakable");
    for act in [Act::Replay, edited(orders[1], "2"), Act::Discard] {
        let refused = service.operations.act(whole, act, &unspeakable).await;
        assert!(matches!(refused, Err(OperationError::Database(_))), "{refused:?}");
    }
    let all = Filter::default();
    let many = service.operations.replay_many(&all, 10, &unspeakable, None);
    assert!(matches!(many.await, Err(OperationError::Database(_))));
    assert_eq!(database.everything().await, before);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_can_only_be_added_to() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let service = impatient(&broker, &database);
    sick_orders(&broker, 1).await;
    let id = service.open_letter().await.id;
    service.act(id, Act::Discard).await.unwrap();
    let before = database.everything().await;
    for sql in [
        "update operation_audit set reason = 'another'",
        "update operation_audit set reason = reason where false",
        "delete from operation_audit",
        "truncate operation_audit",
        "truncate operation_audit restart identity cascade",
        "insert into operation_audit (id, actor, action, subject, reason) overriding system value
            select id, actor, action, subject, reason from operation_audit
            on conflict (id) do update set reason = 'another'",
        "merge into operation_audit a using operation_audit b on a.id = b.id when matched then delete",
    ] {
        let refused = database.refused(sql).await;
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    assert_eq!(database.everything().await, before);
    service.stop().await;
}
