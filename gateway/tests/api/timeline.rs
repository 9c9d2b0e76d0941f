//! `GET /orders/{id}/timeline`, from a real database.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{EventId, OrderId, UserId};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use gateway::domain::entry::Entry;
use gateway::store::timeline::TimelineRepository;
use messaging::{Change, Repository};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::upstream::{documents, echo};
use crate::harness::{Gateway, token};

const ORDER: Uuid = Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_00aa);

fn event(number: u128, kind: &str, cause: u128, second: i64, data: Value) -> Entry {
    let at: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
    Entry {
        event_id: EventId::new(Uuid::from_u128(number)),
        order_id: Some(OrderId::new(ORDER)),
        customer_id: data["customer_id"]
            .as_str()
            .map(|id| UserId::new(id.parse().unwrap())),
        kind: kind.to_owned(),
        source: kind.split('.').next().unwrap().to_owned(),
        occurred_at: at + TimeDelta::seconds(second),
        causation_id: Uuid::from_u128(cause),
        correlation_id: Uuid::from_u128(99),
        sequence: 1,
        data,
    }
}

/// A declined saga, told by services whose clocks disagree, with a dead letter on its way.
fn saga() -> Vec<Entry> {
    let owner = json!({"customer_id": token::CUSTOMER});
    let death =
        json!({"name": "order.created", "error_class": "panic", "retries": 3, "error_message": "secret"});
    vec![
        event(3, "order.cancelled", 2, 7, owner.clone()),
        event(4, "notification.failed.dlq", 1, 9, death),
        event(2, "payment.failed", 1, 2, owner.clone()),
        event(1, "order.created", 50, 5, owner),
    ]
}

async fn record(gateway: &Gateway, entries: Vec<Entry>) {
    let mut connection = AsyncPgConnection::establish(gateway.database_url())
        .await
        .unwrap();
    let change = |state: Entry| Change {
        id: state.event_id.uuid(),
        version: 1,
        state,
    };
    let changes: Vec<_> = entries.into_iter().map(change).collect();
    let saved = TimelineRepository.save(&mut connection, &changes).await.unwrap();
    assert_eq!(saved, changes.len());
}

fn path(order: Uuid) -> String {
    format!("/orders/{order}/timeline")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_is_told_from_cause_to_effect() {
    let gateway = Gateway::before(echo()).await;
    record(&gateway, saga()).await;
    // told twice is told once
    record(&gateway, saga()).await;
    let answer = gateway.customer().get(&path(ORDER)).await;

    assert_eq!(answer.status, 200);
    let timeline = answer.json();
    assert_eq!(timeline["order_id"], ORDER.to_string());
    let items = timeline["items"].as_array().unwrap();
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
    assert_eq!(
        items[1],
        json!({
            "event_id": Uuid::from_u128(2),
            "type": "payment.failed",
            "source": "payment",
            "occurred_at": "2026-11-21T10:00:02Z",
            "causation_id": Uuid::from_u128(1),
            "data": {"customer_id": token::CUSTOMER},
        })
    );
    assert_eq!(gateway.upstream.only().target, format!("/orders/{ORDER}/history"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_owner_and_admins_see_it() {
    let gateway = Gateway::before(echo()).await;
    record(&gateway, saga()).await;
    gateway
        .anonymous()
        .get(&path(ORDER))
        .await
        .problem(401, "unauthenticated");
    gateway
        .user(token::STRANGER)
        .get(&path(ORDER))
        .await
        .problem(404, "not-found");
    let told = |answer: Value| answer["items"].as_array().unwrap()[3]["data"].clone();
    let owner = told(gateway.customer().get(&path(ORDER)).await.json());
    assert_eq!(
        owner,
        json!({"name": "order.created", "retries": 3}),
        "no inside of a service"
    );
    let admin = told(gateway.admin().get(&path(ORDER)).await.json());
    assert_eq!(admin["error_message"], "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_nobody_has_heard_of_is_not_found() {
    let gateway = Gateway::before(documents(&[])).await;
    for client in [gateway.customer(), gateway.admin()] {
        client.get(&path(ORDER)).await.problem(404, "not-found");
        client
            .get("/orders/not-an-id/timeline")
            .await
            .problem(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_owner_is_known_only_admins_see_it() {
    let gateway = Gateway::before(echo()).await;
    let death = json!({"name": "charge", "error_class": "provider", "retries": 3});
    record(&gateway, vec![event(1, "payment.failed.dlq", 9, 0, death)]).await;
    gateway
        .customer()
        .get(&path(ORDER))
        .await
        .problem(404, "not-found");
    assert_eq!(gateway.admin().get(&path(ORDER)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn support_sees_how_often_the_payment_was_tried_and_when_it_is_tried_next() {
    let payment = json!({
        "id": ORDER, "order_id": ORDER, "status": "processing", "attempts": 3,
        "next_attempt_at": "2026-11-21T10:00:30Z",
    });
    let payments = json!({"items": [payment], "next_cursor": null}).to_string();
    let gateway = Gateway::before(documents(&[("/payments", 200, &payments)])).await;
    record(&gateway, saga()).await;
    let seen = gateway.admin().get(&path(ORDER)).await.json();
    assert_eq!(
        seen["payment"],
        json!({"status": "processing", "attempts": 3, "next_attempt_at": "2026-11-21T10:00:30Z"})
    );
    let targets: Vec<String> = gateway
        .upstream
        .seen()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(
        targets,
        [
            format!("/orders/{ORDER}/history"),
            format!("/payments?order_id={ORDER}&limit=1"),
        ]
    );
    let seen = gateway.customer().get(&path(ORDER)).await.json();
    assert_eq!(seen.get("payment"), None);
}

/// Whoever has placed an order reads it at once: the order service knows it before Kafka has told anybody.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_reads_their_own_writes_before_they_have_come_through_kafka() {
    let item = |number: u128, kind: &str, cause: u128, second: u32| {
        json!({
            "event_id": Uuid::from_u128(number), "type": kind, "sequence": number,
            "occurred_at": format!("2026-11-21T10:00:{second:02}Z"), "causation_id": Uuid::from_u128(cause),
            "correlation_id": ORDER, "data": {"customer_id": token::CUSTOMER},
        })
    };
    let history = json!({
        "order_id": ORDER,
        "items": [item(1, "order.created", 50, 5), item(3, "order.cancelled", 2, 7)],
    });
    let (own, text) = (format!("/orders/{ORDER}/history"), history.to_string());
    let gateway = Gateway::before(documents(&[(&own, 200, &text)])).await;
    let kinds = async || {
        let answer = gateway.customer().get(&path(ORDER)).await;
        assert_eq!(answer.status, 200);
        let items = answer.json()["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds().await, ["order.created", "order.cancelled"]);
    // what comes through Kafka takes its place, and nothing is told twice
    record(&gateway, saga()).await;
    let whole = [
        "order.created",
        "payment.failed",
        "order.cancelled",
        "notification.failed.dlq",
    ];
    assert_eq!(kinds().await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_order_service_is_away_what_has_come_through_kafka_is_told() {
    let gateway = Gateway::before(documents(&[(&format!("/orders/{ORDER}/history"), 503, "{}")])).await;
    gateway
        .customer()
        .get(&path(ORDER))
        .await
        .problem(502, "bad-gateway");
    record(&gateway, saga()).await;
    let told = gateway.customer().get(&path(ORDER)).await.json();
    assert_eq!(told["items"].as_array().unwrap().len(), 4);
    gateway
        .user(token::STRANGER)
        .get(&path(ORDER))
        .await
        .problem(404, "not-found");
}
