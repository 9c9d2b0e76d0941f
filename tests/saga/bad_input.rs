//! What is wrong is refused with a problem that says so, and nothing of it is stored.

use acceptance::books::{balance, count};
use acceptance::customer::{Answer, Customer, an_order};
use acceptance::turn;
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Service, Stack};

#[tokio::test]
async fn bad_orders_are_refused_and_leave_no_trace() {
    let _turn = turn().await;
    // a total that overflows takes prices that nobody may set otherwise
    let any_price = i64::MAX.to_string();
    let builder = Stack::builder().service_env(
        Service::Order,
        "QUADRILLE__CATALOGUE__PRICE_MAX_MINOR",
        &any_price,
    );
    let stack = Box::pin(builder.build()).await.unwrap();
    let customer = Customer::register(&stack).await;
    let line = |quantity: Value| json!({"items": [{"sku": "DESK-OAK", "quantity": quantity}], "payment_method": "pm_card_visa"});
    let with = |member: &str, value: Value| {
        let mut order = an_order("pm_card_visa");
        order[member] = value;
        order
    };
    let refused = [
        (line(json!(0)), "/items/0/quantity"),
        (line(json!(-1)), "/items/0/quantity"),
        (line(json!(1.5)), "/items/0/quantity"),
        (line(json!(2_147_483_648_i64)), "/items/0/quantity"),
        (line(json!("1")), "/items/0/quantity"),
        (
            json!({"items": [{"sku": "NO-SUCH", "quantity": 1}], "payment_method": "pm_card_visa"}),
            "/items/0/sku",
        ),
        (with("items", json!([])), "/items"),
        (with("payment_method", json!("pm_nonsense")), "/payment_method"),
        (with("payment_method", Value::Null), "/payment_method"),
        (with("total", json!(1)), "/total"),
        (with("customer_id", json!(customer.id)), "/customer_id"),
    ];
    for (order, pointer) in refused {
        let answer = customer.send(Method::POST, "/orders", Some(&order)).await;
        problem(&answer, 422);
        let pointers: Vec<_> = answer.body["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("{order}: {}", answer.body))
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(pointers, [pointer], "{order}: {}", answer.body);
    }
    let admin = Customer::admin(&stack).await;
    let gem = json!({"name": "A gem", "unit_price": {"amount_minor": i64::MAX / 2, "currency": "EUR"}, "active": true});
    admin
        .send(Method::PUT, "/products/GEM", Some(&gem))
        .await
        .expect(201);
    let gems = json!({"items": [{"sku": "GEM", "quantity": 3}], "payment_method": "pm_card_visa"});
    let overflow = customer.send(Method::POST, "/orders", Some(&gems)).await;
    problem(&overflow, 422);
    assert_eq!(overflow.body["errors"][0]["pointer"], "/items/0/quantity");

    let raw = async |content_type: &str, body: Vec<u8>| {
        customer
            .try_send(Method::POST, "/orders", content_type, Some(body))
            .await
            .unwrap()
    };
    problem(&raw("application/json", b"{\"items\": [".to_vec()).await, 400);
    problem(&raw("application/json", Vec::new()).await, 400);
    problem(
        &raw("text/plain", an_order("pm_card_visa").to_string().into_bytes()).await,
        415,
    );
    let mut long = an_order("pm_card_visa").to_string().into_bytes();
    long.resize(256 * 1024 + 1, b' ');
    problem(&raw("application/json", long).await, 413);

    // tests/attacks tries every other kind of wrong token
    for token in ["", "not.a.token"] {
        let answer = customer
            .with_token(token)
            .send(Method::POST, "/orders", Some(&an_order("pm_card_visa")))
            .await;
        problem(&answer, 401);
        assert!(
            answer.headers.contains_key("www-authenticate"),
            "{:?}",
            answer.headers
        );
    }
    let another = Customer::register(&stack).await;
    let order = another.place("pm_card_visa").await;
    problem(
        &customer
            .send(Method::GET, &format!("/orders/{order}"), None)
            .await,
        404,
    );
    problem(&customer.cancel(order).await, 404);
    problem(&customer.send(Method::GET, "/nothing", None).await, 404);
    problem(&customer.send(Method::DELETE, "/orders", None).await, 405);

    another.sees(order, "confirmed").await;
    balance(&stack, 0).await;
    assert_eq!(count(&stack, Service::Order, "orders").await, 1);
    assert_eq!(count(&stack, Service::Order, "idempotency_key").await, 0);
    assert_eq!(count(&stack, Service::Payment, "payment").await, 1);
}

fn problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["status"], status);
    for member in ["type", "title", "trace_id"] {
        assert!(answer.body[member].is_string(), "{member}: {}", answer.body);
    }
}
