//! `GET /products` and `PUT /products/{sku}`

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Orders, each, path_of, user};

fn tea(amount_minor: i64) -> Value {
    let unit_price = json!({"amount_minor": amount_minor, "currency": "EUR"});
    json!({"name": "Tea, 100 g", "unit_price": unit_price, "active": true})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_there_from_the_start_and_for_everybody() {
    let orders = Orders::start().await;
    let catalogue = orders.anonymous().get("/products").await.ok(200);
    let skus = each(&catalogue, "sku");
    assert_eq!(skus.len(), 12);
    assert!(skus.is_sorted());
    let cable = catalogue["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["sku"] == "CABLE-USBC");
    assert_eq!(
        cable,
        Some(&json!({
            "sku": "CABLE-USBC",
            "name": "USB-C cable, 2 m",
            "unit_price": {"amount_minor": 1_999, "currency": "EUR"},
            "active": true,
        }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_added_and_then_changed() {
    let orders = Orders::start().await;
    let admin = orders.admin();
    let mut expected = tea(450);
    expected["sku"] = json!("TEA");
    assert_eq!(admin.put("/products/TEA", &tea(450)).await.ok(201), expected);
    expected["unit_price"]["amount_minor"] = json!(475);
    expected["active"] = json!(false);
    let mut changed = tea(475);
    changed["active"] = json!(false);
    assert_eq!(admin.put("/products/TEA", &changed).await.ok(200), expected);
    let catalogue = orders.anonymous().get("/products").await.ok(200);
    let items = catalogue["items"].as_array().unwrap();
    assert_eq!(items.len(), 13);
    assert!(items.contains(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_who_add_the_same_product_one_adds_it() {
    let orders = Orders::start().await;
    let admin = orders.admin();
    let product = tea(450);
    let answers = join_all((0..10).map(|_| admin.put("/products/TEA", &product))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 9].as_slice(), &[201]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_cannot_be_is_422_and_changes_nothing() {
    let orders = Orders::start().await;
    let admin = orders.admin();
    let before = admin.get("/products").await.ok(200);
    let with = |pointer: &str, value: Value| {
        let mut product = tea(450);
        *product.pointer_mut(pointer).unwrap() = value;
        product
    };
    let cases = [
        ("/name", json!("")),
        ("/name", json!("x".repeat(201))),
        ("/name", json!("te\0a")),
        ("/name", json!(null)),
        ("/unit_price/amount_minor", json!(1.5)),
        ("/unit_price/amount_minor", json!(9_223_372_036_854_775_808_u64)),
        ("/unit_price/currency", json!("EURO")),
        ("/unit_price/currency", json!("eur")),
        // none that people pay with: no currency at all, one for tests, gold, one that the euro has replaced
        ("/unit_price/currency", json!("XXX")),
        ("/unit_price/currency", json!("XTS")),
        ("/unit_price/currency", json!("XAU")),
        ("/unit_price/currency", json!("HRK")),
        ("/unit_price/amount_minor", json!(1_000_000_001)),
        ("/active", json!("yes")),
    ];
    for (pointer, value) in cases {
        let product = with(pointer, value);
        let problem = admin
            .put("/products/TEA", &product)
            .await
            .problem(422, "validation");
        let found: Vec<_> = problem
            .errors
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        assert_eq!(found, [pointer], "{product}");
    }
    for amount in [0, -1, i64::MIN] {
        let problem = admin
            .put("/products/TEA", &tea(amount))
            .await
            .problem(422, "validation");
        assert!(
            problem.errors[0].pointer.starts_with("/unit_price"),
            "{:?}",
            problem.errors
        );
    }
    for sku in ["has%20space", "th%C3%A9", "%00", &"X".repeat(65)] {
        let problem = admin
            .put(&format!("/products/{sku}"), &tea(450))
            .await
            .problem(422, "validation");
        assert_eq!(problem.errors[0].pointer, "/sku");
    }
    let mut unknown = tea(450);
    unknown["stock"] = json!(7);
    let problem = admin
        .put("/products/TEA", &unknown)
        .await
        .problem(422, "validation");
    assert_eq!(problem.errors[0].pointer, "/stock");
    assert_eq!(admin.get("/products").await.ok(200), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changed_a_price_is_kept_and_orders_keep_theirs() {
    let orders = Orders::start().await;
    let (root, other) = (user(), user());
    let admin = |user| orders.service.client(Some(orders.issuer.admin(user).unwrap()));
    admin(root).put("/products/TEA", &tea(450)).await.ok(201);
    let client = orders.somebody();
    let body = json!({"items": [{"sku": "TEA", "quantity": 3}], "payment_method": "pm_card_visa"});
    let placed = client.post("/orders", &body).await.ok(202);
    admin(other).put("/products/TEA", &tea(999)).await.ok(200);
    // nothing changes
    admin(root).put("/products/TEA", &tea(999)).await.ok(200);
    assert_eq!(client.get(&path_of(&placed)).await.ok(200), placed);
    // it is paid for at its own price, and cannot be at the new one
    orders.paid(&placed).await;
    let confirmed = client.get(&path_of(&placed)).await.ok(200);
    assert_eq!(confirmed["status"], "confirmed");
    for member in ["items", "total"] {
        assert_eq!(confirmed[member], placed[member]);
    }
    let kept = orders
        .rows("select resource, actor, before, after from operation_audit order by id")
        .await;
    assert_eq!(
        kept,
        [
            json!({"resource": "/products/TEA", "actor": root, "before": null, "after": tea(450)}),
            json!({"resource": "/products/TEA", "actor": other, "before": tea(450), "after": tea(999)}),
        ]
    );
}
