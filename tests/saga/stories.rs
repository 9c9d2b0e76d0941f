//! What becomes of an order, payment method by payment method.

use acceptance::books::{balance, settle};
use acceptance::customer::Customer;
use acceptance::records::{self, Record};
use acceptance::turn;
use reqwest::Method;
use serde_json::{Value, json};
use stack::Stack;
use uuid::Uuid;

use crate::replays::corrected;
use crate::telling;

#[tokio::test]
async fn orders_are_confirmed_or_compensated_and_everybody_agrees() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customer = Customer::register(&stack).await;
    tokio::join!(
        confirmed(&customer, "pm_card_visa"),
        confirmed(&customer, "pm_provider_flaky"),
        confirmed(&customer, "pm_provider_slow"),
        refused(&customer, "pm_card_declined", "card_declined"),
        refused(&customer, "pm_card_insufficient_funds", "insufficient_funds"),
        taken_back_after_it_was_paid(&customer),
        taken_back_while_it_is_paid(&customer),
    );
    forced_to_fail(&stack, &customer).await;
    let traced = customer
        .place_traced(&format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .await;
    customer.sees(traced, "confirmed").await;
    let order = given_up(&stack, &customer).await;
    balance(&stack, 1).await;
    corrected(&Customer::admin(&stack).await, &customer, order).await;
    assert_eq!(settle(&stack, 0).await, 1, "it died once");
    one_saga_is_one_trace(&stack, traced).await;
    telling::an_order_is_found_in_every_log(&stack, traced, TRACE).await;
    telling::nothing_is_an_error_that_nobody_has_to_look_at(&stack).await;
    telling::metrics_are_those_of_the_documents(&stack).await;
}

/// The trace that a client of ours is in.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn confirmed(customer: &Customer, method: &str) {
    let order = customer.place(method).await;
    let seen = customer.sees(order, "confirmed").await;
    assert_eq!(seen["total"], json!({"amount_minor": 3998, "currency": "EUR"}));
    assert_eq!(seen["cancellation"], Value::Null);
    let payment = customer.pays(order, "completed").await;
    assert_eq!(payment["amount"], seen["total"]);
    if method == "pm_provider_flaky" {
        assert_eq!(payment["attempts"], 3);
    }
    customer
        .is_told(order, &["order_created", "payment_completed", "order_confirmed"])
        .await;
    let timeline = customer
        .reads_timeline(order, &["order.created", "payment.completed", "order.confirmed"])
        .await;
    assert_eq!(timeline[1]["causation_id"], timeline[0]["event_id"]);
    assert_eq!(timeline[2]["causation_id"], timeline[1]["event_id"]);
}

async fn refused(customer: &Customer, method: &str, code: &str) {
    let order = customer.place(method).await;
    let seen = customer.sees(order, "cancelled").await;
    assert_eq!(seen["cancellation"]["reason"], "payment_failed");
    assert_eq!(seen["cancellation"]["code"], code);
    let payment = customer.pays(order, "failed").await;
    assert_eq!(payment["failure_code"], code);
    customer
        .is_told(order, &["order_created", "payment_failed", "order_cancelled"])
        .await;
    let timeline = customer
        .reads_timeline(order, &["order.created", "payment.failed", "order.cancelled"])
        .await;
    assert_eq!(timeline[2]["causation_id"], timeline[1]["event_id"]);
}

async fn taken_back_after_it_was_paid(customer: &Customer) {
    let order = customer.place("pm_card_visa").await;
    customer.sees(order, "confirmed").await;
    assert_eq!(
        customer.cancel(order).await.expect(202).body["status"],
        "cancelled"
    );
    customer.cancel(order).await.expect(409);
    let seen = customer.sees(order, "cancelled").await;
    assert_eq!(seen["cancellation"]["reason"], "customer_request");
    customer.pays(order, "refunded").await;
    customer
        .is_told(
            order,
            &[
                "order_created",
                "payment_completed",
                "order_confirmed",
                "order_cancelled",
                "payment_refunded",
            ],
        )
        .await;
}

async fn taken_back_while_it_is_paid(customer: &Customer) {
    let order = customer.place("pm_provider_slow").await;
    customer.pays(order, "processing").await;
    customer.cancel(order).await.expect(202);
    // the simulated provider takes the money before it answers late
    customer.pays(order, "refunded").await;
    customer
        .is_told(
            order,
            &[
                "order_created",
                "order_cancelled",
                "payment_completed",
                "payment_refunded",
            ],
        )
        .await;
    assert_eq!(
        customer.order(order).await["cancellation"]["reason"],
        "customer_request"
    );
}

async fn forced_to_fail(stack: &Stack, customer: &Customer) {
    let admin = Customer::admin(stack).await;
    let setting = json!({"mode": "decline", "remaining": 1, "latency_ms": 0});
    customer
        .send(Method::PUT, "/payments/simulator", Some(&setting))
        .await
        .expect(403);
    admin
        .send(Method::PUT, "/payments/simulator", Some(&setting))
        .await
        .expect(200);
    refused(customer, "pm_card_visa", "card_declined").await;
    confirmed(customer, "pm_card_visa").await;
}

/// The provider fails until the retries are spent.
async fn given_up(stack: &Stack, customer: &Customer) -> Uuid {
    let order = customer.place("pm_provider_error").await;
    customer
        .reads_timeline(order, &["order.created", "payment.failed.dlq"])
        .await;
    let records = records::all(stack.brokers()).await;
    let letters: Vec<&Record> = records.iter().filter(|record| record.is_dead_letter()).collect();
    let [letter] = letters.as_slice() else {
        panic!("{} dead letters", letters.len());
    };
    let created = records
        .iter()
        .find(|record| record.topic == "order.created" && record.key == Some(order))
        .unwrap();
    assert_eq!(letter.topic, "payment.failed.dlq");
    assert_eq!(letter.key, Some(order));
    assert_eq!(letter.header("x-original-topic"), "order.created");
    assert_eq!(letter.header("x-consumer-group"), "payment");
    assert_eq!(letter.header("x-retry-count"), "3");
    assert_eq!(letter.header("x-error-class"), "provider-error");
    assert_eq!(letter.header("ce_causationid"), created.header("ce_id"));
    assert_eq!(
        letter.header("ce_correlationid"),
        created.header("ce_correlationid")
    );
    for header in [
        "x-error-message",
        "x-error-fingerprint",
        "x-first-failed-at",
        "x-last-failed-at",
    ] {
        assert!(!letter.header(header).is_empty(), "{header}");
    }
    assert_eq!(letter.body()["payment_method"], "pm_provider_error");
    customer.pays(order, "processing").await;
    assert_eq!(customer.order(order).await["status"], "pending");
    order
}

/// From the POST to the last fact, through outbox rows and Kafka.
async fn one_saga_is_one_trace(stack: &Stack, order: Uuid) {
    let records = records::all(stack.brokers()).await;
    let saga: Vec<&Record> = records
        .iter()
        .filter(|record| record.key == Some(order))
        .collect();
    assert_eq!(saga.len(), 3);
    for record in &saga {
        assert_eq!(record.header("traceparent").split('-').nth(1), Some(TRACE));
    }
    assert!(
        saga.iter()
            .all(|record| record.header("ce_correlationid") == saga[0].header("ce_correlationid"))
    );
}
