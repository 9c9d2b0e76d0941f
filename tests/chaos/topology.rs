//! What the services stand on changes under them: the broker moves to another address, topics get more partitions, a topic
//! is deleted and made anew.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use acceptance::books::{count, rows};
use acceptance::customer::Customer;
use acceptance::{turn, until};
use contracts::Topic;
use futures::future::join_all;
use rdkafka::consumer::BaseConsumer;
use reqwest::Method;
use serde_json::Value;
use stack::books::{self, Options, Sources};
use stack::chaos::{Groups, Load, Mix, NamedBroker, Proxy, change, drained};
use stack::kafka::bounds::bounds;
use stack::{Service, Stack};
use uuid::Uuid;

use crate::settled::balance;

/// How long whatever is measured may take before it counts as never.
const NEVER: Duration = Duration::from_secs(150);
/// How long the services may take to be at work again when the broker is there under its name.
const MOVED: Duration = Duration::from_secs(10);
/// How long consumers may take to read partitions that are new. They look for them every 10 s, and then the group rebalances.
const NOTICED: Duration = Duration::from_secs(30);
/// What a confirmed order is told as.
const TOLD: i64 = 3;

/// How long it takes until the probe answers that nothing is missing.
///
/// # Panics
/// When it never does; with what is missing.
async fn time_until<T: Debug>(what: &str, mut missing: impl AsyncFnMut() -> Option<T>) -> Duration {
    let begin = Instant::now();
    while let Some(missing) = missing().await {
        assert!(begin.elapsed() < NEVER, "{what}, never: {missing:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{:>6.1} s  {what}", begin.elapsed().as_secs_f64());
    begin.elapsed()
}

/// Every consumer has all its partitions.
async fn whole(groups: &Groups) -> Duration {
    time_until("every consumer has all its partitions", async || {
        match groups.missing().await {
            Ok(missing) => (!missing.is_empty()).then(|| format!("{missing:?}")),
            Err(error) => Some(error.to_string()),
        }
    })
    .await
}

/// What the service says of itself; null when it does not answer.
async fn health(stack: &Stack, service: Service) -> Value {
    let url = format!("{}/health", stack.service_url(service));
    let request = reqwest::Client::new().get(url).timeout(Duration::from_secs(3));
    match request.send().await {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_away) => Value::Null,
    }
}

fn is_ok(health: &Value) -> bool {
    health["status"] == "ok"
}

/// The order is confirmed, and its customer was told all of it.
async fn is_done(stack: &Stack, order: Uuid) -> bool {
    let told = format!("notification where order_id = '{order}'");
    count(stack, Service::Notification, &told).await == TOLD
        && count(
            stack,
            Service::Order,
            &format!("orders where id = '{order}' and status = 'confirmed'"),
        )
        .await
            == 1
        && count(
            stack,
            Service::Gateway,
            &format!("timeline_entry where order_id = '{order}'"),
        )
        .await
            == TOLD
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_on_another_address_is_found_by_its_name_within_ten_seconds_and_nothing_is_lost() {
    let _turn = turn().await;
    let port = Proxy::lease().unwrap();
    let mut broker = NamedBroker::open(port.port()).await.unwrap();
    let mut builder = Stack::builder()
        .kafka_proxied(port.port(), broker.advertised())
        .env("QUADRILLE__KAFKA__BROKERS", broker.advertised());
    for (key, value) in broker.env() {
        builder = builder.env(key, value);
    }
    let mut stack = Box::pin(builder.build()).await.unwrap();
    let groups = Groups::of(&stack).await.unwrap();
    whole(&groups).await;
    let pids: BTreeSet<_> = stack.pids().into_iter().collect();
    let customer = Customer::register(&stack).await;
    let load = Load::of(Mix::Ending, &stack, 4.0, 1).await.unwrap();
    until("every client to be busy", NEVER, async || {
        (load.accepted() > 20).then_some(())
    })
    .await;

    broker.vanish();
    // so that auth has something to publish, too
    Customer::register(&stack).await;
    join_all(Service::ALL.map(async |service| {
        let what = format!("{service} says that it is not well");
        time_until(&what, async || Some(health(&stack, service).await).filter(is_ok)).await
    }))
    .await;

    broker.reappear().await.unwrap();
    let order = customer.place("pm_card_visa").await;
    let (done, backlog, ok) = futures::join!(
        time_until(
            "an order from then on is confirmed, told and in its timeline",
            async || { (!is_done(&stack, order).await).then_some(order) }
        ),
        async {
            let took = drained(&stack, NEVER).await.unwrap();
            println!("{:>6.1} s  all from before is done", took.as_secs_f64());
            took
        },
        join_all(Service::ALL.map(async |service| {
            let what = format!("{service} says that it is well");
            time_until(&what, async || {
                Some(health(&stack, service).await).filter(|health| !is_ok(health))
            })
            .await
        })),
    );
    whole(&groups).await;
    let placed = load.end(NEVER).await.unwrap();
    balance(&stack, &placed_with(placed, &[order])).await;
    assert!(done < MOVED, "an order took {done:?}");
    assert!(backlog < MOVED, "the backlog took {backlog:?}");
    assert!(ok.iter().all(|took| *took < MOVED * 2), "health took {ok:?}");
    assert_eq!(
        stack.pids().into_iter().collect::<BTreeSet<_>>(),
        pids,
        "a process was restarted"
    );
}

/// What the load placed, and these besides.
fn placed_with(mut placed: stack::chaos::Placed, orders: &[Uuid]) -> stack::chaos::Placed {
    placed.accepted.extend(orders);
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_read_by_every_consumer_and_by_those_that_read_whole_topics() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    let groups = Groups::of(&stack).await.unwrap();
    whole(&groups).await;
    let load = Load::of(Mix::Ending, &stack, 4.0, 1).await.unwrap();
    let before = change::partitions(stack.brokers()).await.unwrap();
    change::add_partitions(stack.brokers(), before).await.unwrap();
    let took = whole(&groups).await;
    assert!(took < NOTICED, "new partitions were assigned after {took:?}");

    // with the table locked the gateway hears of a logout from the topic, or not at all
    let locked = stack::postgres::connect(&stack.admin_database_url(Service::Gateway))
        .await
        .unwrap();
    let lock = "begin; lock table session_revocation in access exclusive mode";
    locked.batch_execute(lock).await.unwrap();
    for number in 1.. {
        let customer = Customer::register(&stack).await;
        assert_eq!(customer.send(Method::GET, "/orders", None).await.status, 200);
        customer.log_out().await;
        let refused = time_until("a token is refused after its logout", async || {
            let answer = customer.send(Method::GET, "/orders", None).await;
            (answer.status != 401).then_some(answer.status)
        })
        .await;
        assert!(refused < NOTICED, "{refused:?}");
        if ends(stack.brokers(), Topic::SessionRevoked)[before..]
            .iter()
            .any(|end| *end > 0)
        {
            break;
        }
        assert!(number < 20, "no logout went to a new partition");
    }
    locked.batch_execute("rollback").await.unwrap();

    let placed = load.end(NEVER).await.unwrap();
    let confirmed = ends(stack.brokers(), Topic::OrderConfirmed);
    assert!(
        confirmed[before..].iter().any(|end| *end > 0),
        "nothing went to a new partition: {confirmed:?}"
    );
    balance(&stack, &placed).await;
}

/// The offset after the last record of each partition.
fn ends(brokers: &str, topic: Topic) -> Vec<i64> {
    let consumer: BaseConsumer = stack::kafka::client(brokers)
        .set("group.id", "ends")
        .create()
        .unwrap();
    let bounds = bounds(&consumer, [topic.name()]).unwrap();
    bounds.into_iter().map(|partition| partition.high).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_is_read_from_its_beginning_and_its_absence_is_told() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let groups = Groups::of(&stack).await.unwrap();
    whole(&groups).await;
    let customer = Customer::register(&stack).await;
    let mut orders = place(&customer, 30).await;
    all_done(&stack, &orders).await;
    drained(&stack, NEVER).await.unwrap();

    // away long enough to be seen: it must be told, and what is placed meanwhile must wait
    let topic = Topic::PaymentCompleted;
    change::delete_topic(stack.brokers(), topic).await.unwrap();
    let waiting = place(&customer, 3).await;
    missed_aloud(
        &stack,
        topic,
        &[Service::Order, Service::Notification, Service::Gateway],
    )
    .await;
    // it has fewer records than the position that consumers had on the old one
    change::make_topic(stack.brokers(), topic, 6).await.unwrap();
    orders.extend(waiting);
    all_done(&stack, &orders).await;
    whole(&groups).await;
    stack.wait_until_healthy(Duration::from_secs(30)).await.unwrap();

    // another one gets more records than its readers' positions on the old one at once
    drained(&stack, NEVER).await.unwrap();
    let topic = Topic::OrderConfirmed;
    let old = ends(stack.brokers(), topic);
    change::delete_topic(stack.brokers(), topic).await.unwrap();
    missed_aloud(&stack, topic, &[Service::Notification, Service::Gateway]).await;
    let waiting = 12 * old.iter().max().unwrap();
    orders.extend(place(&customer, usize::try_from(waiting).unwrap()).await);
    change::make_topic(stack.brokers(), topic, 6).await.unwrap();
    time_until("the new topic has all that waited for it", async || {
        let new = ends(stack.brokers(), topic);
        (new.iter().sum::<i64>() < waiting).then_some(new)
    })
    .await;
    // where a key goes is the partitioner's business, so not every partition need have
    let new = ends(stack.brokers(), topic);
    assert!(
        old.iter().zip(&new).any(|(old, new)| new > old),
        "{old:?} {new:?}"
    );
    all_done(&stack, &orders).await;
    whole(&groups).await;
    stack.wait_until_healthy(Duration::from_secs(30)).await.unwrap();

    only_what_was_on_the_old_topics_is_missing(&stack).await;
}

/// The readers of a topic that is gone say so in their health and in their logs.
async fn missed_aloud(stack: &Stack, topic: Topic, readers: &[Service]) {
    for service in readers {
        let what = format!("{service} says that {topic} is gone");
        time_until(&what, async || {
            let health = health(stack, *service).await;
            (is_ok(&health) || !health.to_string().contains(topic.name())).then_some(health)
        })
        .await;
        let log = stack.log_tail(service.name(), usize::MAX);
        let told = log
            .lines()
            .any(|line| line.contains("\"ERROR\"") && line.contains(topic.name()));
        assert!(told, "{service} logs no error");
    }
}

async fn place(customer: &Customer, number: usize) -> Vec<Uuid> {
    let mut orders = Vec::new();
    for _ in 0..number {
        orders.push(customer.place("pm_card_visa").await);
    }
    orders
}

/// All of them are confirmed, told of once for each event, and in their timelines.
async fn all_done(stack: &Stack, orders: &[Uuid]) {
    let expected = i64::try_from(orders.len()).unwrap();
    for (service, table, expected) in [
        (Service::Order, "orders where status = 'confirmed'", expected),
        (
            Service::Notification,
            "notification where order_id is not null",
            expected * TOLD,
        ),
        (
            Service::Gateway,
            "timeline_entry where order_id is not null",
            expected * TOLD,
        ),
    ] {
        time_until(&format!("{expected} {table} of {service}"), async || {
            let found = count(stack, service, table).await;
            assert!(
                found <= expected,
                "{found} {table} of {service} instead of {expected}"
            );
            (found < expected).then_some(found)
        })
        .await;
    }
    let letters = "work where state = 'dead'";
    for service in Service::ALL {
        assert_eq!(
            count(stack, service, letters).await,
            0,
            "{service} has dead letters"
        );
    }
    let doubled = "select count(*) from notification where order_id is not null group by order_id, kind having count(*) > 1";
    assert!(
        rows(stack, Service::Notification, doubled).await.is_empty(),
        "a customer was told twice"
    );
}

/// The books name the events that went with the deleted topics, as not to be found there, and nothing else.
async fn only_what_was_on_the_old_topics_is_missing(stack: &Stack) {
    let options = Options {
        settle: Some(Duration::from_secs(20)),
        ..Options::default()
    };
    let report = books::balance(&Sources::from(stack), &options).await.unwrap();
    let kinds: BTreeSet<_> = report.mismatches.iter().map(|mismatch| mismatch.kind).collect();
    println!("{} mismatches: {kinds:?}", report.mismatches.len());
    // the databases know of events that are on no topic any more, and what followed from them
    let vanished = [
        books::comparison::Kind::FactMissing,
        books::comparison::Kind::EventVanished,
        books::comparison::Kind::OrderFactDiffers,
        books::comparison::Kind::SequenceGap,
        books::comparison::Kind::NotificationWithoutFact,
        books::comparison::Kind::TimelineWithoutFact,
    ];
    let other: Vec<_> = report
        .mismatches
        .iter()
        .filter(|mismatch| !vanished.contains(&mismatch.kind))
        .take(10)
        .collect();
    assert!(other.is_empty(), "{other:#?}");
    assert!(
        !report.mismatches.is_empty(),
        "the books do not see that records are gone"
    );
    assert!(
        report.sums.iter().all(|sum| sum.difference_minor == 0),
        "money is off"
    );
}
