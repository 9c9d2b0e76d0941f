//! From Kafka to the provider and back to Kafka. On a real broker.

use contracts::{Currency, Money, Topic};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Order, Payments, until};
use crate::kafka::Broker;

/// How often each fact is delivered.
const DELIVERIES: usize = 5;

/// Waits until the service has taken charge of the event.
async fn taken_in(payments: &Payments, event: Uuid) {
    until("the event is taken in", async || {
        let query = format!("select event_id from processed_event where event_id = '{event}'");
        payments.rows(&query).await.pop().map(drop)
    })
    .await;
}

/// What was announced of this order on the topic.
async fn told(broker: &Broker, topic: Topic, order: &Order) -> Vec<Value> {
    let records = broker.read(topic).await.into_iter();
    records
        .filter(|(key, _)| *key == order.id.to_string())
        .map(|(_, body)| body)
        .collect()
}

/// Waits until something of this order is announced on the topic.
async fn is_told(broker: &Broker, topic: Topic, order: &Order) -> Value {
    until(&format!("there is a {topic}"), async || {
        told(broker, topic, order).await.pop()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_orders_become_the_facts_of_their_payments_each_once() {
    let broker = Broker::start().await;
    let payments = Payments::with(&[("kafka.brokers", broker.address())]).await;

    // a good one, in copies
    let good = Order::by("pm_card_visa");
    broker.deliver(good.placed(), DELIVERIES).await;
    let payment = payments.becomes(&good, "completed").await;
    let fact = is_told(&broker, Topic::PaymentCompleted, &good).await;
    let expected = json!({
        "payment_id": payment["id"], "order_id": good.id, "customer_id": good.customer,
        "amount": {"amount_minor": 1999, "currency": "EUR"}, "provider": "simulated",
        "provider_reference": payment["provider_reference"],
    });
    assert_eq!(fact, expected);

    // a refused one
    let refused = Order::by("pm_card_declined");
    broker.deliver(refused.placed(), DELIVERIES).await;
    let fact = is_told(&broker, Topic::PaymentFailed, &refused).await;
    assert_eq!(fact["failure_code"], "card_declined");
    broker.deliver(refused.cancelled(), DELIVERIES).await;

    // one that was cancelled before anybody heard of it
    let crossed = Order::by("pm_card_visa");
    broker.deliver(crossed.cancelled(), DELIVERIES).await;
    payments.becomes(&crossed, "voided").await;
    let late = broker.deliver(crossed.placed(), DELIVERIES).await;
    taken_in(&payments, late).await;

    // one that cannot be charged: it is given up, and holds nobody up
    let mut worthless = Order::by("pm_card_visa");
    worthless.total = Money::new(0, Currency::EUR);
    broker.deliver(worthless.placed(), DELIVERIES).await;
    is_told(&broker, Topic::PaymentDeadLetters, &worthless).await;

    // the good one is cancelled
    broker.deliver(good.cancelled(), DELIVERIES).await;
    let fact = is_told(&broker, Topic::PaymentRefunded, &good).await;
    let payment = payments.becomes(&good, "refunded").await;
    assert_eq!(fact["refund_reference"], payment["refund_reference"]);

    payments.at_rest().await;
    until("everything is announced", async || {
        payments
            .rows("select id from outbox")
            .await
            .is_empty()
            .then_some(())
    })
    .await;
    for (order, completed, failed, refunded, dead) in [
        (&good, 1, 0, 1, 0),
        (&refused, 0, 1, 0, 0),
        (&crossed, 0, 0, 0, 0),
        (&worthless, 0, 0, 0, 1),
    ] {
        for (topic, times) in [
            (Topic::PaymentCompleted, completed),
            (Topic::PaymentFailed, failed),
            (Topic::PaymentRefunded, refunded),
            (Topic::PaymentDeadLetters, dead),
        ] {
            assert_eq!(
                told(&broker, topic, order).await.len(),
                times,
                "{topic} of {order:?}"
            );
        }
    }
    assert_eq!(payments.charge_of(crossed.id).await, None);
    assert_eq!(payments.charge_of(good.id).await.unwrap()["attempts"], 1);
    assert!(payments.service.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cancelled_while_it_is_charged_ends_without_money_kept() {
    let broker = Broker::start().await;
    let payments = Payments::with(&[("kafka.brokers", broker.address())]).await;
    let setting = json!({"mode": "approve", "remaining": null, "latency_ms": 500});
    payments
        .admin()
        .put("/payments/simulator", &setting)
        .await
        .ok(200);
    let orders: Vec<_> = (0..12).map(|_| Order::by("pm_card_visa")).collect();
    for order in &orders {
        broker.deliver(order.placed(), 1).await;
        broker.deliver(order.cancelled(), 1).await;
    }
    let ends = orders.iter().map(async |order| {
        until("it ends", async || {
            let query = format!(
                "select status from payment where order_id = '{}' and status in ('voided', 'refunded')",
                order.id
            );
            payments.rows(&query).await.pop()
        })
        .await["status"]
            .clone()
    });
    let ends = futures::future::join_all(ends).await;
    payments.at_rest().await;
    for (order, end) in orders.iter().zip(ends) {
        let taken = payments
            .charge_of(order.id)
            .await
            .is_some_and(|charge| charge["status"] == "approved");
        assert_eq!(taken, end == "refunded", "{order:?}");
        let refunds = usize::from(taken);
        if taken {
            is_told(&broker, Topic::PaymentRefunded, order).await;
        }
        assert_eq!(told(&broker, Topic::PaymentRefunded, order).await.len(), refunds);
        assert_eq!(told(&broker, Topic::PaymentCompleted, order).await.len(), refunds);
    }
    assert!(payments.service.stop().await);
}
