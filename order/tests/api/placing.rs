//! `POST /orders`

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{ANY_PRICE, Orders, one_cable, path_of, place, user};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_answered_as_it_is_stored() {
    let orders = Orders::start().await;
    let ada = user();
    let client = orders.customer(ada);
    let body = json!({
        "items": [{"sku": "CABLE-USBC", "quantity": 3}, {"sku": "DESK-OAK", "quantity": 1}, {"sku": "CABLE-USBC", "quantity": 1}],
        "payment_method": "pm_card_declined",
    });
    let answer = client.post("/orders", &body).await;
    let order = answer.ok(202);
    let cable = |quantity: i32| {
        let unit_price = json!({"amount_minor": 1_999, "currency": "EUR"});
        json!({"sku": "CABLE-USBC", "name": "USB-C cable, 2 m", "quantity": quantity, "unit_price": unit_price})
    };
    let desk = json!({
        "sku": "DESK-OAK",
        "name": "Oak standing desk",
        "quantity": 1,
        "unit_price": {"amount_minor": 64_900, "currency": "EUR"},
    });
    assert_eq!(
        order,
        json!({
            "id": order["id"],
            "customer_id": ada,
            "status": "pending",
            "items": [cable(3), desk, cable(1)],
            "total": {"amount_minor": 4 * 1_999 + 64_900, "currency": "EUR"},
            "cancellation": null,
            "payment_method": "pm_card_declined",
            "created_at": order["created_at"],
            "updated_at": order["created_at"],
            "version": 1,
        })
    );
    let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let created_at = order["created_at"].as_str().unwrap();
    assert!(created_at.ends_with('Z') && created_at.parse::<chrono::DateTime<chrono::Utc>>().is_ok());
    assert_eq!(answer.header("location"), path_of(&order));
    assert_eq!(answer.header("idempotent-replayed"), "");
    assert_eq!(client.get(&path_of(&order)).await.ok(200), order);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_its_announcement_and_its_key_commit_together() {
    let orders = Orders::start().await;
    let request = orders
        .somebody()
        .request(Method::POST, "/orders")
        .header("idempotency-key", "together")
        .json(&one_cable());
    chassis::test::Answer::to(request).await.ok(202);
    // the number of the transaction that wrote each row
    let together = orders
        .rows(
            "select orders.xmin = outbox.xmin and outbox.xmin = idempotency_key.xmin as together
             from orders, outbox, idempotency_key",
        )
        .await;
    assert_eq!(together, [json!({"together": true})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_announcement_says_everything_and_carries_the_trace_on() {
    let orders = Orders::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = orders
        .somebody()
        .request(Method::POST, "/orders")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .json(&one_cable());
    let order = chassis::test::Answer::to(request).await.ok(202);

    let outbox = orders.outbox().await;
    let [created] = &outbox[..] else {
        panic!("{outbox:?}")
    };
    assert_eq!(
        (&created["topic"], &created["key"]),
        (&json!("order.created"), &order["id"])
    );
    assert_eq!(
        created["payload"],
        json!({
            "order_id": order["id"],
            "customer_id": order["customer_id"],
            "items": order["items"],
            "total": order["total"],
            "payment_method": "pm_card_visa",
        })
    );
    let mut headers = created["headers"].clone();
    headers.as_object_mut().unwrap().remove("tracestate");
    let expected = json!({
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": headers["ce_id"],
        "ce_type": "order.created.v1",
        "ce_source": "order",
        "ce_time": headers["ce_time"],
        "ce_subject": order["id"],
        "ce_partitionkey": order["id"],
        "ce_sequence": "00000000000000000001",
        "ce_correlationid": order["id"],
        "ce_causationid": headers["ce_causationid"],
        "traceparent": headers["traceparent"],
    });
    assert_eq!(headers, expected);
    for id in ["ce_id", "ce_causationid"] {
        let id: Uuid = headers[id].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
    let traceparent = headers["traceparent"].as_str().unwrap();
    assert!(traceparent.starts_with(&format!("00-{trace}-")), "{traceparent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_price_is_the_catalogues_at_that_moment() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let before = place(&client).await;
    orders.product("CABLE-USBC", 2_500, "EUR", true).await;
    let after = place(&client).await;
    assert_eq!(after["total"], json!({"amount_minor": 2_500, "currency": "EUR"}));
    assert_eq!(
        client.get(&path_of(&before)).await.ok(200),
        before,
        "what was ordered keeps its price"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_total_and_the_largest_quantity_are_taken() {
    let orders = Orders::start_with(&[ANY_PRICE]).await;
    orders.product("YACHT", i64::MAX, "EUR", true).await;
    let body = json!({"items": [{"sku": "YACHT", "quantity": 1}], "payment_method": "pm_card_visa"});
    let order = orders.somebody().post("/orders", &body).await.ok(202);
    assert_eq!(order["total"]["amount_minor"], i64::MAX);
    orders.product("CRUMB", 1, "EUR", true).await;
    let body = json!({"items": [{"sku": "CRUMB", "quantity": 10_000}], "payment_method": "pm_card_visa"});
    let order = orders.somebody().post("/orders", &body).await.ok(202);
    assert_eq!(order["total"]["amount_minor"], 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_keeps_nobody_from_ordering() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    for _ in 0..10 {
        place(&client).await;
    }
    let health = client.get("/health").await.ok(503);
    assert_eq!(
        (&health["database"], &health["broker"]),
        (&json!("ok"), &json!("down"))
    );
    assert_eq!(health["accepts_requests"], true);
    orders.stored(10, 10, 0).await;
}
