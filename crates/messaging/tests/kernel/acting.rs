//! Actions: performed side by side, retried, given up, never applied twice.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::tally::{Fortune, Ill, Script, cure, infect, running_errands};
use crate::topic::read;
use crate::world::{Database, Running, Setup, eventually, until};

struct Scene {
    broker: Broker,
    database: Database,
    script: Arc<Script>,
    order: Uuid,
}

impl Scene {
    async fn new() -> Self {
        Self {
            broker: Broker::start().await,
            database: Database::create().await,
            script: Script::new(),
            order: chassis::clock::new_id(),
        }
    }

    fn start(&self) -> Running {
        Setup::new(&self.broker, &self.database).start(running_errands(&self.script))
    }

    async fn ask(&self, label: &str) {
        self.broker.produce(&[Sent::new(self.order, label)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_performed_once_each_and_not_too_many_at_once() {
    let mut scene = Scene::new().await;
    let orders: Vec<Uuid> = (0..40).map(|_| chassis::clock::new_id()).collect();
    let label = |order: &Uuid| format!("errand {order}");
    for order in &orders {
        scene.script.plan(&label(order), &[Fortune::Waits]);
    }
    let events: Vec<Sent> = orders
        .iter()
        .map(|order| Sent::new(*order, &label(order)))
        .collect();
    scene.broker.produce(&events).await;
    let service = Setup::new(&scene.broker, &scene.database)
        .limits(|limits| limits.actions_in_flight = 5)
        .start(running_errands(&scene.script));
    until("all hands are busy", async || scene.script.begun() == 5).await;
    // the consumer is not held up by any of it
    let other = Sent::new(scene.order, "1");
    scene.broker.produce(&[other]).await;
    scene.database.until_seen(scene.order, &["1"]).await;
    scene.script.open_gate();
    for order in &orders {
        let label = label(order);
        scene
            .database
            .until_seen(*order, &[&label, &format!("done {label}")])
            .await;
        assert_eq!(scene.script.attempts(&label), [0]);
    }
    assert_eq!(scene.script.most_at_once(), 5);
    scene.database.until_zero("select count(*) from work").await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_action_is_retried_and_its_attempts_are_counted() {
    let mut scene = Scene::new().await;
    scene
        .script
        .plan("errand", &[Fortune::Fails, Fortune::Panics, Fortune::Fails]);
    scene.ask("errand").await;
    let service = scene.start();
    scene
        .database
        .until_seen(scene.order, &["errand", "done errand"])
        .await;
    assert_eq!(scene.script.attempts("errand"), [0, 1, 2, 3]);
    assert_eq!(service.metric("messaging_attempts_failed_total"), 3);
    assert_eq!(service.metric("messaging_dead_letters_total"), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_retries_are_spent_is_a_dead_letter() {
    let mut scene = Scene::new().await;
    scene.script.plan("errand hopeless", &[Fortune::Fails; 10]);
    scene.ask("errand hopeless").await;
    scene.ask("errand spurned").await;
    let service = scene.start();
    let letters = eventually("two dead letters", async || {
        let letters = read(scene.broker.address(), "order.failed.dlq").await;
        (letters.len() == 2).then_some(letters)
    })
    .await;
    for letter in &letters {
        let told = letter.all();
        assert_eq!(told["x-dead-letter-kind"], "action");
        assert_eq!(told["x-dead-letter-name"], "errand");
        assert_eq!(told["x-retry-count"], "3");
        assert_eq!(told["x-consumer-group"], "order");
        assert_eq!(told["x-original-topic"], "order.created");
        assert_eq!(letter.key_text(), scene.order.to_string());
        let body: serde_json::Value = serde_json::from_slice(letter.payload.as_deref().unwrap()).unwrap();
        let expected = match told["x-error-class"].as_str() {
            "closed" => "errand hopeless",
            "spurned" => "errand spurned",
            other => panic!("{other}"),
        };
        assert_eq!(body["label"], expected);
        assert_eq!(scene.script.attempts(expected), [0, 1, 2, 3]);
    }
    assert_ne!(
        letters[0].header("x-error-class"),
        letters[1].header("x-error-class")
    );
    // the outcome that was refused has had no effect
    scene
        .database
        .until_seen(scene.order, &["errand hopeless", "errand spurned"])
        .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_what_an_action_needs_is_not_counted() {
    let mut scene = Scene::new().await;
    scene.script.plan("errand", &[Fortune::IsOut; 5]);
    scene.ask("errand").await;
    let service = scene.start();
    scene
        .database
        .until_seen(scene.order, &["errand", "done errand"])
        .await;
    assert_eq!(scene.script.attempts("errand"), [0; 6]);
    assert_eq!(service.metric("messaging_attempts_failed_total"), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_done_in_the_end_is_never_given_up() {
    let mut scene = Scene::new().await;
    scene.script.plan("errand vital", &[Fortune::Fails; 7]);
    scene.ask("errand vital").await;
    let service = scene.start();
    scene
        .database
        .until_seen(scene.order, &["errand vital", "done errand vital"])
        .await;
    assert_eq!(scene.script.attempts("errand vital"), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(service.metric("messaging_dead_letters_total"), 0);
    service.stop().await;
}

/// Every attempt of fifteen actions fails five times: three retries would not do.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_actions_of_many_keys_fail_they_wait_instead_of_dying() {
    let mut scene = Scene::new().await;
    let orders: Vec<Uuid> = (0..15).map(|_| chassis::clock::new_id()).collect();
    let label = |order: &Uuid| format!("errand {order}");
    for order in &orders {
        scene.script.plan(&label(order), &[Fortune::Fails; 5]);
    }
    let events: Vec<Sent> = orders
        .iter()
        .map(|order| Sent::new(*order, &label(order)))
        .collect();
    scene.broker.produce(&events).await;
    let service = Setup::new(&scene.broker, &scene.database)
        .limits(|limits| {
            limits.breaker_keys = 5;
            limits.breaker_probe_ms = 10;
            limits.dispatch_poll_ms = 10;
            limits.backoff_max_ms = 50;
        })
        .start(running_errands(&scene.script));
    until("the breaker is open", async || {
        service.metric("messaging_breaker_open") == 1
    })
    .await;
    for order in &orders {
        let label = label(order);
        scene
            .database
            .until_seen(*order, &[&label, &format!("done {label}")])
            .await;
    }
    scene.database.until_zero("select count(*) from work").await;
    assert_eq!(service.metric("messaging_breaker_open"), 0);
    assert_eq!(service.metric("messaging_dead_letters_total"), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_is_no_longer_wanted_is_dropped() {
    let mut scene = Scene::new().await;
    // both are stored before the first is looked at
    scene
        .broker
        .produce(&[
            Sent::new(scene.order, "errand"),
            Sent::new(scene.order, "never mind errand"),
        ])
        .await;
    let service = scene.start();
    scene
        .database
        .until_seen(scene.order, &["errand", "never mind errand"])
        .await;
    scene.database.until_zero("select count(*) from work").await;
    assert_eq!(scene.script.begun(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_counts_only_while_the_claim_holds() {
    let mut scene = Scene::new().await;
    scene.script.plan("errand", &[Fortune::Waits]);
    scene.ask("errand").await;
    let service = scene.start();
    until("it is begun", async || scene.script.begun() == 1).await;
    // another replica takes it over, as it may when the lease has run out, and dies
    let taken = "update work set claim = gen_random_uuid(), next_attempt_at = now() + interval '1 second'";
    assert_eq!(scene.database.execute(taken).await, 1);
    scene.script.open_gate();
    scene
        .database
        .until_seen(scene.order, &["errand", "done errand"])
        .await;
    assert_eq!(
        scene.script.attempts("errand"),
        [0, 0],
        "performed twice, applied once"
    );
    scene.database.until_zero("select count(*) from work").await;
    assert_eq!(scene.database.seen(scene.order).await, ["errand", "done errand"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_replica_had_claimed_is_taken_over() {
    let mut scene = Scene::new().await;
    scene.script.plan("errand", &[Fortune::NeverEnds]);
    scene.ask("errand").await;
    let short = |scene: &Scene| {
        Setup::new(&scene.broker, &scene.database)
            .limits(|limits| limits.action_lease_ms = 2_000)
            .start(running_errands(&scene.script))
    };
    // a process of its own, as far as that goes
    let process = tokio::runtime::Runtime::new().unwrap();
    let crashed = process.block_on_aside(|| short(&scene));
    until("it is begun", async || scene.script.begun() == 1).await;
    process.shutdown_background();
    drop(crashed);

    let service = short(&scene);
    scene
        .database
        .until_seen(scene.order, &["errand", "done errand"])
        .await;
    assert_eq!(scene.script.attempts("errand"), [0, 0]);
    service.stop().await;
}

pub(crate) trait Aside {
    /// Calls `start` inside this runtime, from a thread that belongs to none.
    fn block_on_aside<T: Send>(&self, start: impl FnOnce() -> T + Send) -> T;
}

impl Aside for tokio::runtime::Runtime {
    fn block_on_aside<T: Send>(&self, start: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _inside = self.enter();
                    start()
                })
                .join()
                .unwrap()
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_performer_that_never_answers_is_given_up_before_its_lease_ends() {
    let mut scene = Scene::new().await;
    scene.script.plan("errand", &[Fortune::NeverEnds]);
    scene.ask("errand").await;
    let service = Setup::new(&scene.broker, &scene.database)
        .limits(|limits| limits.action_lease_ms = 500)
        .start(running_errands(&scene.script));
    scene
        .database
        .until_seen(scene.order, &["errand", "done errand"])
        .await;
    assert_eq!(scene.script.attempts("errand"), [0, 1], "the attempt is counted");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_state_that_cannot_be_loaded_does_not_hold_up_the_actions_of_others() {
    let mut scene = Scene::new().await;
    let sick = chassis::clock::new_id();
    scene.script.plan("errand", &[Fortune::IsOut]);
    scene.broker.produce(&[Sent::new(sick, "errand")]).await;
    let service = Setup::new(&scene.broker, &scene.database)
        .limits(|limits| {
            limits.backoff_max_ms = 60_000;
            limits.retry_delays_ms = vec![60_000; 3];
        })
        .start(running_errands(&scene.script));
    until("it has been tried", async || scene.script.begun() == 1).await;
    let given_back = "select count(*) from work where claim is not null";
    scene.database.until_zero(given_back).await;
    infect(sick, Ill::LoadPanics);
    scene.ask("errand other").await;
    until("there are two", async || {
        !scene.database.seen(scene.order).await.is_empty()
    })
    .await;
    scene
        .database
        .execute("update work set next_attempt_at = now()")
        .await;
    scene
        .database
        .until_seen(scene.order, &["errand other", "done errand other"])
        .await;
    let failed = "select count(*) from work where error_class = 'panic' and attempts = 1";
    until("the failure is recorded", async || {
        scene.database.number(failed).await == 1
    })
    .await;
    cure(sick);
    scene
        .database
        .execute("update work set next_attempt_at = now()")
        .await;
    scene.database.until_seen(sick, &["errand", "done errand"]).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_finishes_the_actions_it_holds() {
    let mut scene = Scene::new().await;
    scene.script.plan("errand", &[Fortune::Waits]);
    scene.ask("errand").await;
    let service = scene.start();
    until("it is begun", async || scene.script.begun() == 1).await;
    let stopping = service.tasks.stopping();
    let script = scene.script.clone();
    let (stopped, ()) = tokio::join!(service.tasks.finish(Duration::from_secs(20)), async {
        stopping.cancelled().await;
        script.open_gate();
    });
    assert!(stopped);
    assert_eq!(scene.database.seen(scene.order).await, ["errand", "done errand"]);
    assert_eq!(scene.database.number("select count(*) from work").await, 0);
}
