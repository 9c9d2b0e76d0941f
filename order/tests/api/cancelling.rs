//! `POST /orders/{id}/cancel`

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Orders, cancel, path_of, place};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_admin_took_back_is_in_the_audit_and_what_a_customer_did_is_not() {
    let orders = Orders::start().await;
    let (ada, admin) = (orders.somebody(), orders.admin());
    let (theirs, ours) = (place(&ada).await, place(&ada).await);
    cancel(&ada, &theirs).await.ok(202);
    cancel(&admin, &ours).await.ok(202);
    cancel(&admin, &ours).await.problem(409, "conflict");
    let audit = admin.get("/orders/dead-letters/audit").await.ok(200);
    let [entry] = &audit["items"].as_array().unwrap()[..] else {
        panic!("one of three: {audit}")
    };
    assert_eq!(
        (&entry["action"], &entry["resource"]),
        (&json!("cancel-order"), &json!(path_of(&ours)))
    );
    assert_eq!(entry["before"], json!({"status": "pending"}));
    assert_eq!(entry["after"], json!({"status": "cancelled"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_is_announced_once() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client).await;
    let cancelled = cancel(&client, &order).await.ok(202);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(
        cancelled["cancellation"],
        json!({"reason": "customer_request", "code": null, "refunded": false})
    );
    assert_eq!(client.get(&path_of(&order)).await.ok(200), cancelled);

    let outbox = orders.outbox().await;
    let announced = outbox.last().unwrap();
    assert_eq!(
        (outbox.len(), &announced["topic"]),
        (2, &json!("order.cancelled"))
    );
    assert_eq!(
        announced["payload"],
        json!({
            "order_id": order["id"],
            "customer_id": order["customer_id"],
            "total": order["total"],
            "reason": "customer_request",
            "code": null,
        })
    );
    let header = |name: &str| announced["headers"][name].clone();
    assert_eq!(header("ce_sequence"), "00000000000000000002");
    assert_eq!(header("ce_correlationid"), order["id"], "it is the same saga");

    let problem = cancel(&client, &order).await.problem(409, "conflict");
    assert!(problem.detail.unwrap().contains("customer_request"));
    orders.stored(1, 2, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_can_still_be_cancelled_by_an_admin_too() {
    let orders = Orders::start().await;
    for by_admin in [false, true] {
        let client = orders.somebody();
        let order = place(&client).await;
        orders.paid(&order).await;
        let by = if by_admin { orders.admin() } else { client };
        assert_eq!(cancel(&by, &order).await.ok(202)["status"], "cancelled");
    }
    let topics: Vec<Value> = orders
        .outbox()
        .await
        .iter()
        .map(|row| row["topic"].clone())
        .collect();
    let saga = ["order.created", "order.confirmed", "order.cancelled"];
    assert_eq!(topics, [saga, saga].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_at_once_one_cancels() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client).await;
    let answers = join_all((0..10).map(|_| cancel(&client, &order))).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert_eq!((done.len(), refused.len()), (1, 9));
    for answer in refused {
        answer.problem(409, "conflict");
    }
    orders.stored(1, 2, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_is_404() {
    let orders = Orders::start().await;
    for client in [orders.somebody(), orders.admin()] {
        cancel(&client, &json!({"id": chassis::clock::new_id()}))
            .await
            .problem(404, "not-found");
        cancel(&client, &json!({"id": "not-an-id"}))
            .await
            .problem(404, "not-found");
    }
    orders.stored(0, 0, 0).await;
}

/// Sent again with its key, a cancellation gets the stored answer, also when both come at once. Another order's is another
/// request, whatever its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_with_a_key_acts_once_and_is_answered_the_same_again() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let (order, other) = (place(&client).await, place(&client).await);
    let keyed = async |order: &Value| {
        let path = format!("{}/cancel", path_of(order));
        let request = client.request(reqwest::Method::POST, &path);
        chassis::test::Answer::to(request.header("idempotency-key", "k1")).await
    };
    let answers = join_all((0..10).map(|_| keyed(&order))).await;
    let replayed = |answer: &chassis::test::Answer| answer.header("idempotent-replayed") == "true";
    assert_eq!(answers.iter().filter(|answer| !replayed(answer)).count(), 1);
    let bodies: Vec<Value> = answers.into_iter().map(|answer| answer.ok(202)).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let another = keyed(&other).await;
    assert!(!replayed(&another));
    assert_eq!(another.ok(202)["id"], other["id"]);
    // without the key it is a second cancellation
    cancel(&client, &order).await.problem(409, "conflict");
    let cancelled = orders.outbox().await;
    let cancelled = cancelled.iter().filter(|row| row["topic"] == "order.cancelled");
    assert_eq!(cancelled.count(), 2, "each once");
}
