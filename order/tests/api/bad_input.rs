//! What must be refused is refused with the right problem, and nothing of it is stored.

use chassis::test::{Answer, TestClient};
use reqwest::{Body, Method};
use serde_json::{Value, json};

use crate::harness::{ANY_PRICE, Orders, one_cable};

const BODY_LIMIT_BYTES: usize = 262_144;

/// Sends bytes as they are, with a key that must not be remembered for them.
async fn send(client: &TestClient, body: impl Into<Body>) -> Answer {
    let request = client
        .request(Method::POST, "/orders")
        .header("content-type", "application/json")
        .header("idempotency-key", "bad-input")
        .body(body);
    Answer::to(request).await
}

/// Asserts that the body is refused for exactly these members.
async fn refused(client: &TestClient, body: &Value, pointers: &[&str]) {
    let problem = send(client, body.to_string()).await.problem(422, "validation");
    let found: Vec<_> = problem
        .errors
        .iter()
        .map(|error| error.pointer.as_str())
        .collect();
    assert_eq!(found, pointers, "{body}: {:?}", problem.errors);
    assert!(problem.errors.iter().all(|error| !error.detail.is_empty()));
}

fn of_cables(quantity: &Value) -> Value {
    json!({"items": [{"sku": "CABLE-USBC", "quantity": quantity}], "payment_method": "pm_card_visa"})
}

fn of_items(items: &[(&str, i32)]) -> Value {
    let item = |(sku, quantity): &(&str, i32)| json!({"sku": sku, "quantity": quantity});
    let items: Vec<_> = items.iter().map(item).collect();
    json!({"items": items, "payment_method": "pm_card_visa"})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_400() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let bodies: [&[u8]; 6] = [
        b"",
        b"{",
        b"{]",
        b"an order, please",
        b"{\"items\": \"\xff\xfe\"}",
        b"\0",
    ];
    for body in bodies {
        send(&client, body).await.problem(400, "malformed-json");
    }
    send(&client, format!("{} }}", one_cable()))
        .await
        .problem(400, "malformed-json");
    send(&client, "[".repeat(10_000))
        .await
        .problem(400, "malformed-json");
    orders.stored(0, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_missing_members_are_422() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let item = |name: &str, value: Value| {
        let mut body = one_cable();
        body["items"][0][name] = value;
        body
    };
    let member = |name: &str, value: Value| {
        let mut body = one_cable();
        body[name] = value;
        body
    };
    // nobody names their own price, status or customer
    refused(
        &client,
        &item("unit_price", json!({"amount_minor": 1, "currency": "EUR"})),
        &["/items/0/unit_price"],
    )
    .await;
    for name in ["total", "status", "customer_id", "id"] {
        refused(&client, &member(name, json!("1")), &[&format!("/{name}")]).await;
    }
    refused(&client, &json!({}), &["/items", "/payment_method"]).await;
    refused(&client, &json!([]), &[""]).await;
    refused(
        &client,
        &json!({"items": [{"quantity": 1}], "payment_method": "pm_card_visa"}),
        &["/items/0/sku"],
    )
    .await;
    refused(&client, &member("items", json!({})), &["/items"]).await;
    refused(&client, &member("items", json!(null)), &["/items"]).await;
    refused(&client, &member("items", json!([])), &["/items"]).await;
    let many = vec![("CABLE-USBC", 1); 101];
    refused(&client, &of_items(&many), &["/items"]).await;
    orders.stored(0, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quantity_is_a_whole_number_from_1_to_ten_thousand() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let quantities = [
        json!(0),
        json!(-1),
        json!(i32::MIN),
        json!(10_001),
        json!(i32::MAX),
        json!(1.5),
        json!(1.0),
        json!(2_147_483_648_i64),
        json!(u64::MAX),
        json!(1e300),
        json!("1"),
        json!(true),
        json!(null),
        json!([1]),
    ];
    for quantity in quantities {
        refused(&client, &of_cables(&quantity), &["/items/0/quantity"]).await;
    }
    refused(
        &client,
        &of_items(&[("CABLE-USBC", 0), ("LAMP-LED", 1), ("MOUSE-ERGO", -7)]),
        &["/items/0/quantity", "/items/2/quantity"],
    )
    .await;
    orders.stored(0, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sold_is_422() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    orders.product("RETIRED", 100, "EUR", false).await;
    for sku in [
        "UNKNOWN",
        "cable-usbc",
        "CABLE-USBC ",
        "",
        "CABLE\0USBC",
        "'; drop table orders; --",
        "RETIRED",
    ] {
        refused(&client, &of_items(&[(sku, 1)]), &["/items/0/sku"]).await;
    }
    refused(
        &client,
        &of_items(&[("UNKNOWN", 1), ("CABLE-USBC", 1), ("NEITHER", 1)]),
        &["/items/0/sku", "/items/2/sku"],
    )
    .await;
    orders.stored(0, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_cannot_be_computed_is_422() {
    let orders = Orders::start_with(&[ANY_PRICE]).await;
    let client = orders.somebody();
    orders.product("YACHT", i64::MAX, "EUR", true).await;
    orders.product("PIE", 500, "USD", true).await;
    refused(&client, &of_items(&[("YACHT", 2)]), &["/items/0/quantity"]).await;
    refused(
        &client,
        &of_items(&[("YACHT", 1), ("CABLE-USBC", 1)]),
        &["/items/1/quantity"],
    )
    .await;
    refused(
        &client,
        &of_items(&[("CABLE-USBC", 1), ("PIE", 1)]),
        &["/items/1/sku"],
    )
    .await;
    orders.stored(0, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_payment_method_is_422() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    for method in [
        json!("cash"),
        json!(""),
        json!("PM_CARD_VISA"),
        json!("pm_card_visa\0"),
        json!(7),
        json!(null),
        json!("pm_1PQ2rSLkdIwHu7ix"),
    ] {
        let body = json!({"items": [{"sku": "CABLE-USBC", "quantity": 1}], "payment_method": method});
        refused(&client, &body, &["/payment_method"]).await;
    }
    orders.stored(0, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_stripe_is_charged_its_payment_methods_are_known_by_their_shape() {
    let orders = Orders::start_with(&[("payment_methods.kind", "stripe")]).await;
    let client = orders.somebody();
    let by =
        |method: &str| json!({"items": [{"sku": "CABLE-USBC", "quantity": 1}], "payment_method": method});
    for method in ["pm_1PQ2rSLkdIwHu7ix", "pm_card_visa"] {
        let order = client.post("/orders", &by(method)).await.ok(202);
        assert_eq!(order["payment_method"], method);
    }
    let longer = format!("pm_{}", "x".repeat(251));
    for method in ["cash", "", "pm_", "pm_a-b", "pm_card_visa\0", longer.as_str()] {
        refused(&client, &by(method), &["/payment_method"]).await;
    }
    orders.stored(2, 2, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_taken_up_to_256_kib() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let padded = |length: usize| {
        let order = one_cable().to_string();
        format!("{order}{}", " ".repeat(length - order.len()))
    };
    for length in [BODY_LIMIT_BYTES + 1, 4 * BODY_LIMIT_BYTES] {
        send(&client, padded(length))
            .await
            .problem(413, "payload-too-large");
    }
    // without a declared length
    let chunks = vec![padded(BODY_LIMIT_BYTES), " ".to_owned()];
    let chunked = Body::wrap_stream(futures::stream::iter(chunks.into_iter().map(std::io::Result::Ok)));
    send(&client, chunked).await.problem(413, "payload-too-large");
    orders.stored(0, 0, 0).await;

    assert_eq!(send(&client, padded(BODY_LIMIT_BYTES)).await.status, 202);
    orders.stored(1, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_say_it_is_json_is_415() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        let request = client
            .request(Method::POST, "/orders")
            .header("content-type", content_type)
            .body(one_cable().to_string());
        Answer::to(request).await.problem(415, "unsupported-media-type");
    }
    let request = client
        .request(Method::POST, "/orders")
        .body(one_cable().to_string());
    Answer::to(request).await.problem(415, "unsupported-media-type");
    orders.stored(0, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_400() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    for key in ["", "\"\"", "two words", "a\"b", &"x".repeat(256)] {
        let request = client
            .request(Method::POST, "/orders")
            .header("idempotency-key", key)
            .json(&one_cable());
        Answer::to(request).await.problem(400, "bad-request");
    }
    let twice = client
        .request(Method::POST, "/orders")
        .header("idempotency-key", "one")
        .header("idempotency-key", "two")
        .json(&one_cable());
    Answer::to(twice).await.problem(400, "bad-request");
    orders.stored(0, 0, 0).await;
}
