//! Who may do what.

use chassis::auth::Role;
use chassis::test::claims;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Orders, cancel, one_cable, path_of, place, user};

fn with(role: Role, claim: &str, value: Value) -> Value {
    let mut claims = claims(user(), role);
    claims[claim] = value;
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_orders_without_a_token_that_holds() {
    let orders = Orders::start().await;
    let issuer = &orders.issuer;
    let now = chassis::clock::now().timestamp();
    let good = issuer.customer(user()).unwrap();
    let spoiled = [
        with(Role::Customer, "exp", json!(now - 60)),
        with(Role::Customer, "nbf", json!(now + 60)),
        with(Role::Admin, "iss", json!("somebody-else")),
        with(Role::Admin, "aud", json!("another-api")),
        with(Role::Customer, "sub", json!("not-an-id")),
    ];
    let tokens = spoiled
        .iter()
        .map(|claims| issuer.token(claims).unwrap())
        .chain([issuer.forged(&claims(user(), Role::Admin)).unwrap()])
        .chain([
            String::new(),
            "nonsense".to_owned(),
            good[..good.len() - 4].to_owned(),
        ]);
    for token in tokens.map(Some).chain([None]) {
        let client = orders.service.client(token.clone());
        let answer = client.post("/orders", &one_cable()).await;
        answer.problem(401, "unauthenticated");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{token:?}"
        );
        for path in ["/orders", &format!("/orders/{}", chassis::clock::new_id())] {
            client.get(path).await.problem(401, "unauthenticated");
        }
        client
            .put("/products/TEA", &json!({}))
            .await
            .problem(401, "unauthenticated");
    }
    orders.stored(0, 0, 0).await;
    assert_eq!(
        orders
            .service
            .client(Some(good))
            .post("/orders", &one_cable())
            .await
            .status,
        202
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_looked_at_before_the_body() {
    let orders = Orders::start().await;
    let request = orders.anonymous().request(Method::POST, "/orders").body("{");
    chassis::test::Answer::to(request)
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_another_is_not_there() {
    let orders = Orders::start().await;
    let order = place(&orders.somebody()).await;
    let stranger = orders.somebody();
    stranger.get(&path_of(&order)).await.problem(404, "not-found");
    cancel(&stranger, &order).await.problem(404, "not-found");
    assert_eq!(stranger.get("/orders").await.ok(200)["items"], json!([]));
    orders.stored(1, 1, 0).await;
    let seen = orders.admin().get(&path_of(&order)).await.ok(200);
    assert_eq!(seen, order, "nothing has changed, and an admin sees it");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_change_the_catalogue() {
    let orders = Orders::start().await;
    let product =
        json!({"name": "Tea", "unit_price": {"amount_minor": 1, "currency": "EUR"}, "active": true});
    let answer = orders.somebody().put("/products/CABLE-USBC", &product).await;
    answer.problem(403, "forbidden");
    let catalogue = orders.anonymous().get("/products").await.ok(200);
    assert!(!catalogue.to_string().contains("\"Tea\""));
}
