//! The books of a real platform: they balance, and each relation that is broken is found under its own name.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a test makes its own ids, and a panic is its report"
)]

mod customer;
mod damage;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use contracts::Topic;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use stack::books::comparison::{Kind, Report, compare};
use stack::books::{self, Options, Sources};
use stack::kafka::client;
use stack::postgres::connect;
use stack::{Service, Stack};
use uuid::Uuid;

use customer::Customer;
use damage::{DAMAGES, Orders};

fn kinds(report: &Report) -> BTreeSet<&'static str> {
    let kinds = report.mismatches.iter().map(|mismatch| mismatch.kind.as_str());
    kinds.collect()
}

async fn look(sources: &Sources, options: &Options) -> Report {
    let reading = books::read(sources, options).await.unwrap();
    compare(&reading, &options.limits)
}

/// Waits until everything has come to rest.
async fn settled(sources: &Sources) -> Report {
    let options = Options {
        settle: Some(Duration::from_secs(90)),
        ..Options::default()
    };
    Box::pin(books::balance(sources, &options)).await.unwrap()
}

#[track_caller]
fn assert_balanced(report: &Report, when: &str) {
    assert!(report.balanced, "{when}: {:#?}", report.mismatches);
}

/// What `stack books` prints and ends with.
fn command(sources: &Sources, brokers: &str, flags: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
    command.args(["books", "--brokers", brokers]).args(flags);
    for (service, url) in &sources.databases {
        command.args(["--database".to_owned(), format!("{service}={url}")]);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// A dozen orders of every method; two are taken back.
async fn place(stack: &Stack) -> Orders {
    let customer = Customer::arrive(&stack.url()).await;
    let confirmed = customer.order("pm_card_visa").await;
    let declined = customer.order("pm_card_declined").await;
    let stuck = customer.order("pm_provider_error").await;
    let refunded = customer.order("pm_card_visa").await;
    let hasty = customer.order("pm_provider_slow").await;
    customer.cancel(hasty).await;
    for method in [
        "pm_card_insufficient_funds",
        "pm_provider_flaky",
        "pm_provider_slow",
        "pm_card_visa",
        "pm_card_visa",
        "pm_card_declined",
        "pm_provider_flaky",
    ] {
        customer.order(method).await;
    }
    customer.wait_for(refunded, "confirmed").await;
    customer.cancel(refunded).await;
    customer.wait_for(confirmed, "confirmed").await;
    customer.wait_for(declined, "cancelled").await;
    Orders {
        confirmed,
        declined,
        refunded,
        stuck,
        poison: poison(stack).await,
    }
}

/// An event whose body nobody understands: a dead letter of two services, and an entry of the timeline.
async fn poison(stack: &Stack) -> Uuid {
    let (event, key) = (Uuid::now_v7(), Uuid::now_v7());
    let headers = [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.to_string()),
        ("ce_type", "order.created.v1".to_owned()),
        ("ce_source", "nobody".to_owned()),
        ("ce_time", "2026-11-21T10:00:00Z".to_owned()),
        ("ce_partitionkey", key.to_string()),
        ("ce_sequence", "1".to_owned()),
        ("ce_correlationid", key.to_string()),
        ("ce_causationid", key.to_string()),
    ];
    publish(stack, "order.created", &key.to_string(), &headers, b"{}").await;
    event
}

async fn publish(stack: &Stack, topic: &str, key: &str, headers: &[(&str, String)], body: &[u8]) {
    let producer: FutureProducer = client(stack.brokers()).create().unwrap();
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    });
    let record = FutureRecord::to(topic).key(key).payload(body).headers(headers);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}

/// The record of an order's confirmation again, under `id`.
async fn confirm_again(stack: &Stack, sources: &Sources, order: Uuid, id: Option<Uuid>) {
    let reading = books::read(sources, &Options::default()).await.unwrap();
    let of_order =
        |fact: &&books::comparison::reading::Fact| fact.key == order && fact.topic() == "order.confirmed";
    let fact = reading.facts.iter().find(of_order).unwrap();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", id.unwrap_or(fact.id).to_string()),
        ("ce_type", "order.confirmed.v1".to_owned()),
        ("ce_source", fact.source.clone()),
        ("ce_time", fact.time.to_rfc3339()),
        ("ce_subject", fact.key.to_string()),
        ("ce_partitionkey", fact.key.to_string()),
        ("ce_sequence", fact.sequence.to_string()),
        ("ce_correlationid", fact.correlation_id.to_string()),
        ("ce_causationid", fact.causation_id.to_string()),
    ];
    let body = serde_json::to_vec(&fact.event).unwrap();
    publish(stack, "order.confirmed", &fact.key.to_string(), &headers, &body).await;
}

/// What the gateway tells an operator, from the interfaces alone.
async fn operators_see_the_same(stack: &Stack, orders: &Orders) {
    let admin = Customer::login(&stack.url(), &stack.admin().email, &stack.admin().password).await;
    let report: Report = serde_json::from_value(admin.get("/operations/reconciliation").await).unwrap();
    assert_balanced(&report, "as the gateway sees it");
    assert_eq!(report.counts.orders.values().sum::<u64>(), 12);
    assert_eq!(
        report.counts.in_flight, 1,
        "the order whose charge is a dead letter"
    );
    let amount = DAMAGES
        .iter()
        .find(|damage| damage.what == "a payment's amount changed");
    let undo = amount.unwrap().inflict(stack, orders).await;
    let report: Report = serde_json::from_value(admin.get("/operations/reconciliation").await).unwrap();
    let expected = [Kind::FactDiffers, Kind::PaymentAmountDiffers, Kind::SumsDiffer].map(Kind::as_str);
    assert_eq!(
        kinds(&report),
        BTreeSet::from(expected),
        "{:#?}",
        report.mismatches
    );
    undo.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_broken_is_found_under_its_own_name() {
    let grace = "QUADRILLE__RECONCILIATION__GRACE_S";
    let builder = Stack::builder().service_env(Service::Gateway, grace, "1");
    let stack = Box::pin(builder.build()).await.unwrap();
    let sources = Sources::from(&stack);
    let orders = place(&stack).await;
    let report = settled(&sources).await;
    assert_balanced(&report, "after a dozen orders");
    assert_eq!(report.counts.orders.values().sum::<u64>(), 12);
    assert_eq!(report.counts.unreadable, 1);
    assert_eq!(report.counts.backlog["payment"].dead, 2, "{:?}", report.counts);
    assert_eq!(report.counts.backlog["notification"].dead, 1);
    assert_eq!(report.sums.len(), 1);
    assert_eq!(report.counts.in_flight, 0);
    let (code, printed) = command(&sources, stack.brokers(), &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("the books balance"), "{printed}");

    let options = Options::default();
    for damage in DAMAGES {
        let undo = damage.inflict(&stack, &orders).await;
        let report = look(&sources, &options).await;
        let expected: BTreeSet<&str> = damage.found.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(
            kinds(&report),
            expected,
            "{}: {:#?}",
            damage.what,
            report.mismatches
        );
        undo.run().await;
    }
    assert_balanced(&look(&sources, &options).await, "after all is undone");
    operators_see_the_same(&stack, &orders).await;

    // nothing may be open for longer than its deadline, which is a moment here
    let mut hasty = Options::default();
    hasty.limits.order_deadline = chrono::TimeDelta::seconds(1);
    hasty.limits.payment_deadline = chrono::TimeDelta::seconds(1);
    let report = look(&sources, &hasty).await;
    let expected = [Kind::OrderOverdue, Kind::PaymentOverdue].map(Kind::as_str);
    assert_eq!(
        kinds(&report),
        BTreeSet::from(expected),
        "{:#?}",
        report.mismatches
    );
    let replay = "/payments/dead-letters/";
    assert!(
        report
            .mismatches
            .iter()
            .all(|mismatch| mismatch.repair.contains(replay)),
        "{report:#?}"
    );

    let undo = DAMAGES[0].inflict(&stack, &orders).await;
    let (code, printed) = command(&sources, stack.brokers(), &["--json"]);
    assert_eq!(code, Some(1), "{printed}");
    let report: Report = serde_json::from_str(&printed).unwrap();
    assert!(
        report
            .mismatches
            .iter()
            .any(|mismatch| mismatch.kind == DAMAGES[0].found[0])
    );
    undo.run().await;
    let (code, printed) = command(&sources, "127.0.0.1:1", &[]);
    assert_eq!(code, Some(2), "{printed}");

    // told of an order that is not there
    let accepted = Uuid::now_v7();
    let options = Options {
        accepted: [accepted].into(),
        ..Options::default()
    };
    let report = look(&sources, &options).await;
    assert_eq!(report.mismatches[0].order_id, Some(accepted));
    assert_eq!(kinds(&report), BTreeSet::from([Kind::OrderMissing.as_str()]));

    // at-least-once publishing repeats records; it never gives one number to two events
    confirm_again(&stack, &sources, orders.confirmed, None).await;
    let report = settled(&sources).await;
    assert_balanced(&report, "after a record was published again");
    assert_eq!(report.counts.published_again, Some(1));
    confirm_again(&stack, &sources, orders.confirmed, Some(Uuid::now_v7())).await;
    let report = settled(&sources).await;
    let expected = [Kind::FactRepeated, Kind::SequenceRepeated].map(Kind::as_str);
    assert_eq!(
        kinds(&report),
        BTreeSet::from(expected),
        "{:#?}",
        report.mismatches
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_is_not_a_mismatch() {
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let sources = Sources::from(&stack);
    let customer = Customer::arrive(&stack.url()).await;
    settled(&sources).await;
    stack.stop(Service::Notification).await;
    stack.stop(Service::Payment).await;
    for _ in 0..3 {
        customer.order("pm_card_visa").await;
    }
    let options = Options {
        settle: Some(Duration::from_secs(4)),
        ..Options::default()
    };
    let report = Box::pin(books::balance(&sources, &options)).await.unwrap();
    assert_eq!(
        kinds(&report),
        BTreeSet::from([Kind::NotSettled.as_str()]),
        "{report:#?}"
    );
    assert_eq!(report.counts.in_flight, 3);
    assert_eq!(report.counts.backlog["payment"].lag, Some(3));
    assert_eq!(report.counts.backlog["notification"].lag, Some(3));
    stack.start(Service::Notification).await.unwrap();
    stack.start(Service::Payment).await.unwrap();
    let report = settled(&sources).await;
    assert_balanced(&report, "after the services are back");
    assert_eq!(report.counts.orders["confirmed"], 3);

    // read again and again while orders run through
    let placing = async {
        for _ in 0..30 {
            customer.order("pm_card_visa").await;
        }
    };
    let reading = async {
        for round in 0..10 {
            let report = Box::pin(books::balance(&sources, &Options::default()))
                .await
                .unwrap();
            assert_balanced(&report, &format!("reading {round} under load"));
        }
    };
    futures::join!(placing, reading);
    assert_balanced(&settled(&sources).await, "in the end");
    forget(&stack).await;
    let report = look(&sources, &Options::default()).await;
    assert_balanced(&report, "after the topics have dropped their records");
    assert!(
        report.counts.facts.is_empty() && !report.notes.is_empty(),
        "{report:#?}"
    );
    let client = connect(stack.database_url(Service::Payment)).await.unwrap();
    let sql = "delete from payment where order_id = (select order_id from payment limit 1)";
    assert_eq!(client.execute(sql, &[]).await.unwrap(), 1);
    let report = look(&sources, &Options::default()).await;
    let expected = [Kind::PaymentMissing, Kind::ChargeWithoutPayment].map(Kind::as_str);
    assert_eq!(
        kinds(&report),
        BTreeSet::from(expected),
        "rows are compared for ever"
    );
}

/// Drops all records of all topics, as retention does.
async fn forget(stack: &Stack) {
    let admin: AdminClient<DefaultClientContext> = client(stack.brokers()).create().unwrap();
    let mut ends = TopicPartitionList::new();
    for topic in Topic::ALL.into_iter().filter(|topic| !topic.is_dead_letter()) {
        for partition in 0..6 {
            ends.add_partition_offset(topic.name(), partition, Offset::End)
                .unwrap();
        }
    }
    admin.delete_records(&ends, &AdminOptions::new()).await.unwrap();
}
