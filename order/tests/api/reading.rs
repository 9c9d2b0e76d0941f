//! `GET /orders/{id}`

use chassis::test::{Answer, TestClient};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Orders, cancel, path_of, place};

async fn unless(client: &TestClient, order: &Value, tag: &str) -> Answer {
    let request = client
        .request(Method::GET, &path_of(order))
        .header("if-none-match", tag);
    Answer::to(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_this_version_is_not_sent_it_again() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client).await;
    let first = client.get(&path_of(&order)).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");

    for same in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let answer = unless(&client, &order, &same).await;
        assert_eq!((answer.status, answer.text().as_str()), (304, ""), "{same}");
        assert_eq!(answer.header("etag"), tag);
    }
    cancel(&client, &order).await.ok(202);
    let answer = unless(&client, &order, &tag).await;
    assert_eq!(answer.ok(200)["status"], "cancelled");
    assert_ne!(answer.header("etag"), tag);
    // a stranger learns nothing from a tag either
    unless(&orders.somebody(), &order, "*")
        .await
        .problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_shown_as_it_was_stored() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let placed = place(&client).await;
    let payment = orders.paid(&placed).await;
    let confirmed = client.get(&path_of(&placed)).await.ok(200);
    let mut expected = placed.clone();
    expected["status"] = json!("confirmed");
    expected["version"] = json!(2);
    expected["updated_at"] = confirmed["updated_at"].clone();
    assert_eq!(confirmed, expected);
    assert!(confirmed["updated_at"].as_str() > placed["updated_at"].as_str());

    let cancelled = cancel(&client, &placed).await.ok(202);
    expected["status"] = json!("cancelled");
    expected["cancellation"] = json!({"reason": "customer_request", "code": null, "refunded": false});
    expected["version"] = json!(3);
    expected["updated_at"] = cancelled["updated_at"].clone();
    assert_eq!(cancelled, expected);

    orders.refunded(&placed, payment).await;
    let refunded = client.get(&path_of(&placed)).await.ok(200);
    assert_eq!(refunded["cancellation"]["refunded"], true);
    assert_eq!(refunded["version"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_is_404() {
    let orders = Orders::start().await;
    for client in [orders.somebody(), orders.admin()] {
        let unknown = chassis::clock::new_id().to_string();
        for id in [unknown.as_str(), "not-an-id", "%00", "1"] {
            client
                .get(&format!("/orders/{id}"))
                .await
                .problem(404, "not-found");
        }
    }
}

/// An order's own events are there from the moment that it is placed, under the ids that Kafka will know them by.
#[tokio::test(flavor = "multi_thread")]
async fn an_orders_history_is_there_at_once_and_to_nobody_else() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client).await;
    let path = format!("{}/history", path_of(&order));
    let told = async || client.get(&path).await.ok(200);
    assert_eq!(told().await["items"].as_array().unwrap().len(), 1);
    cancel(&client, &order).await.ok(202);
    let history = told().await;
    assert_eq!(history["order_id"], order["id"]);
    let outbox = orders
        .rows("select event_id, topic from outbox order by id")
        .await;
    let items = history["items"].as_array().unwrap();
    assert_eq!(items.len(), outbox.len());
    for (number, (item, row)) in items.iter().zip(&outbox).enumerate() {
        assert_eq!(
            (&item["event_id"], &item["type"]),
            (&row["event_id"], &row["topic"])
        );
        assert_eq!(item["sequence"], number + 1);
        assert_eq!(item["correlation_id"], order["id"]);
        assert_eq!(item["data"]["customer_id"], order["customer_id"]);
    }
    orders.somebody().get(&path).await.problem(404, "not-found");
    let nobodys = "/orders/01990000-0000-7000-8000-0000000000aa/history";
    client.get(nobodys).await.problem(404, "not-found");
}
