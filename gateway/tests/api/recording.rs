//! From every topic into the timeline. On a real broker.

use std::time::{Duration, Instant};

use chassis::clock;
use contracts::events::{
    CancellationReason, OrderCancelled, OrderCreated, OrderLine, PaymentFailed, UserRegistered,
};
use contracts::{Currency, Money, OrderId, PaymentId, Topic, UserId};
use serde_json::Value;

use crate::harness::broker::{Broker, Sent, announced};
use crate::harness::upstream::echo;
use crate::harness::{Gateway, token};

const PATIENCE: Duration = Duration::from_secs(60);
const PRICE: Money = Money::new(1_999, Currency::EUR);

/// What the notification service says when it has given up on an event.
fn dead_letter_of(event: &Sent) -> Sent {
    let mut headers = event.headers.clone();
    for (name, value) in [
        ("x-dead-letter-record-id", clock::new_id().to_string()),
        ("x-dead-letter-id", clock::new_id().to_string()),
        ("x-dead-letter-kind", "message".to_owned()),
        ("x-dead-letter-name", event.topic.to_owned()),
        ("x-consumer-group", "notification".to_owned()),
        ("x-retry-count", "3".to_owned()),
        ("x-error-class", "panic".to_owned()),
        ("x-error-message", "index out of bounds".to_owned()),
        ("x-last-failed-at", clock::now().to_rfc3339()),
    ] {
        headers.push((name.to_owned(), value));
    }
    let topic = Topic::NotificationDeadLetters.name();
    Sent {
        topic,
        key: event.key,
        headers,
        body: event.body.clone(),
    }
}

fn line() -> OrderLine {
    OrderLine {
        sku: "A".to_owned(),
        name: "a thing".to_owned(),
        quantity: 1,
        unit_price: PRICE,
    }
}

/// A declined order, a registration, and a dead letter.
fn saga(order_id: OrderId, customer_id: UserId) -> Vec<Sent> {
    let items = vec![line()];
    let placed = OrderCreated {
        order_id,
        customer_id,
        items,
        total: PRICE,
        payment_method: "pm".to_owned(),
    };
    let (created_id, created) = announced(placed, clock::new_id(), 1);
    let refused = PaymentFailed {
        payment_id: PaymentId::new(clock::new_id()),
        order_id,
        customer_id,
        amount: PRICE,
        failure_code: "card_declined".to_owned(),
    };
    let (failed_id, failed) = announced(refused, created_id.uuid(), 1);
    let (reason, code) = (
        CancellationReason::PaymentFailed,
        Some("card_declined".to_owned()),
    );
    let ended = OrderCancelled {
        order_id,
        customer_id,
        total: PRICE,
        reason,
        code,
    };
    let (_, cancelled) = announced(ended, failed_id.uuid(), 2);
    let (email, display_name) = ("ada@example.org".to_owned(), None);
    let (_, registered) = announced(
        UserRegistered {
            user_id: customer_id,
            email,
            display_name,
        },
        clock::new_id(),
        1,
    );
    let dead = dead_letter_of(&cancelled);
    // effects before their causes: topics know no order among themselves
    vec![dead, cancelled, failed, created, registered]
}

async fn told(gateway: &Gateway, order: OrderId, count: usize) -> Vec<Value> {
    let client = gateway.admin();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(&format!("/orders/{order}/timeline")).await;
        let items = if answer.status == 200 {
            answer.json()["items"].as_array().unwrap().clone()
        } else {
            vec![]
        };
        if items.len() >= count {
            return items;
        }
        assert!(Instant::now() < deadline, "only {items:#?} in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_topic_is_written_down_once_and_told_in_order() {
    let broker = Broker::start().await;
    let limits = [
        ("kafka.brokers", broker.kafka.bootstrap()),
        ("rate_limit.per_user_per_minute", "100000"),
        ("rate_limit.per_address_per_minute", "100000"),
    ];
    let gateway = Gateway::configured(echo(), &limits).await;
    let (order, customer) = (OrderId::new(clock::new_id()), token::user(token::CUSTOMER));
    let saga = saga(order, customer);
    for record in saga.iter().chain(&saga).chain(&saga) {
        broker.deliver(record).await;
    }
    // a message that makes no sense holds up nobody
    let (_, mut nonsense) = announced(
        UserRegistered {
            user_id: customer,
            email: "a@b".to_owned(),
            display_name: None,
        },
        clock::new_id(),
        2,
    );
    nonsense.body = b"{{".to_vec();
    broker.deliver(&nonsense).await;

    let items = told(&gateway, order, 4).await;
    let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "order.created",
            "payment.failed",
            "order.cancelled",
            "notification.failed.dlq"
        ]
    );
    assert_eq!(items[0]["data"]["items"][0]["sku"], "A");
    assert_eq!(items[3]["source"], "notification");
    assert_eq!(items[3]["causation_id"], items[2]["event_id"]);
    assert_eq!(items[3]["data"]["error_message"], "index out of bounds");
    assert_eq!(items[3]["data"]["retries"], 3);

    // its owner sees it too, and it stays as it is however often it is delivered
    for record in &saga {
        broker.deliver(record).await;
    }
    let later = OrderId::new(clock::new_id());
    let (_, last) = announced(
        OrderCreated {
            order_id: later,
            customer_id: customer,
            items: vec![line()],
            total: PRICE,
            payment_method: "pm".to_owned(),
        },
        clock::new_id(),
        1,
    );
    broker.deliver(&last).await;
    told(&gateway, later, 1).await;
    let own = gateway
        .customer()
        .get(&format!("/orders/{order}/timeline"))
        .await
        .json();
    assert_eq!(own["items"].as_array().unwrap().len(), 4);
    assert!(gateway.stop().await);
}
