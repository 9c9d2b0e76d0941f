//! Kafka delivers at least once: a fact may come a hundred times.

use acceptance::books::{balance, rows};
use acceptance::customer::Customer;
use acceptance::records;
use acceptance::turn;
use contracts::Topic;
use stack::{Service, Stack};

use crate::load::{METHODS, customers, place};

#[tokio::test]
async fn every_event_delivered_a_hundred_times_has_one_effect() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customers = customers(&stack).await;
    let placed = place(&customers, &METHODS, 12).await;
    assert_eq!(placed.accepted.len(), 12);
    let taken_back = customers[0].place("pm_card_visa").await;
    customers[0].sees(taken_back, "confirmed").await;
    customers[0].cancel(taken_back).await.expect(202);
    Customer::register(&stack).await.log_out().await;
    balance(&stack, 0).await;

    let state = state(&stack).await;
    let facts = records::all(stack.brokers()).await;
    for topic in Topic::ALL {
        // banks dispute, and the simulated provider has none: `payment/tests/api/stripe/disputes.rs`
        let of_banks = matches!(topic, Topic::PaymentDisputed | Topic::PaymentDisputeClosed);
        let name = topic.name();
        assert!(
            of_banks || name.ends_with(".dlq") || facts.iter().any(|fact| fact.topic == name),
            "no {name} to deliver again"
        );
    }
    records::publish_again(stack.brokers(), &facts, 100).await;
    balance(&stack, 0).await;

    assert_eq!(self::state(&stack).await, state);
    let all = records::all(stack.brokers()).await;
    assert_eq!(
        all.len(),
        facts.len() * 101,
        "a duplicate was answered with a fact"
    );
}

/// Every row that a fact could have moved, with its version.
async fn state(stack: &Stack) -> Vec<String> {
    let tables = [
        (Service::Auth, "users"),
        (Service::Auth, "sessions"),
        (Service::Order, "orders"),
        (Service::Payment, "payment"),
        (Service::Payment, "simulator.charge"),
        (Service::Notification, "notification"),
        (Service::Gateway, "timeline_entry"),
    ];
    let mut state = Vec::new();
    for (service, table) in tables {
        let sql = format!("select row::text from {table} row order by 1");
        state.extend(
            rows(stack, service, &sql)
                .await
                .iter()
                .map(|row| row.get::<_, String>(0)),
        );
    }
    state
}
