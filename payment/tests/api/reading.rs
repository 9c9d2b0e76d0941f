//! `GET /payments/{id}`

use chassis::test::{Answer, TestClient};
use payment::domain::Status;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Order, Payments, payment, user};

async fn unless(client: &TestClient, path: &str, tag: &str) -> Answer {
    let request = client.request(Method::GET, path).header("if-none-match", tag);
    Answer::to(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_shown_as_it_was_stored() {
    let payments = Payments::start().await;
    let ada = user();
    let client = payments.customer(ada);
    let (reference, refund) = ("sim_ch_1".to_owned(), "sim_re_1".to_owned());
    let code = "card_declined".to_owned();
    let states = [
        (
            Status::Processing { cancel_wanted: false },
            json!(["processing", null, null, null]),
        ),
        (
            Status::Processing { cancel_wanted: true },
            json!(["processing", null, null, null]),
        ),
        (
            Status::Completed {
                reference: reference.clone(),
            },
            json!(["completed", "sim_ch_1", null, null]),
        ),
        (
            Status::Failed { code },
            json!(["failed", null, null, "card_declined"]),
        ),
        (Status::Voided, json!(["voided", null, null, null])),
        (
            Status::Refunding {
                reference: reference.clone(),
            },
            json!(["refunding", "sim_ch_1", null, null]),
        ),
        (
            Status::Refunded {
                reference,
                refund_reference: refund,
            },
            json!(["refunded", "sim_ch_1", "sim_re_1", null]),
        ),
    ];
    for (status, shown) in states {
        let stored = payment(ada, status);
        payments.stored(std::slice::from_ref(&stored)).await;
        let expected = json!({
            "id": stored.id, "order_id": stored.order_id, "customer_id": ada,
            "amount": {"amount_minor": 1999, "currency": "EUR"},
            "status": shown[0], "provider": "simulated", "provider_reference": shown[1],
            "refund_reference": shown[2], "failure_code": shown[3],
            "payment_method": "pm_card_visa", "attempts": 1, "next_attempt_at": null, "disputes": [],
            "created_at": stored.created_at, "updated_at": stored.updated_at, "version": 1,
        });
        let seen = client.get(&format!("/payments/{}", stored.id)).await.ok(200);
        assert_eq!(seen, expected);
        let page = client
            .get(&format!("/payments?order_id={}", stored.order_id))
            .await
            .ok(200);
        assert_eq!(page["items"], json!([seen]), "a list shows the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_this_version_is_not_sent_it_again() {
    let payments = Payments::start().await;
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    let client = payments.customer(order.customer);
    let payment = payments.becomes(&order, "completed").await;
    let path = path_of(&payment);
    let first = client.get(&path).await;
    assert_eq!(first.ok(200), payment);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");

    for same in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let answer = unless(&client, &path, &same).await;
        assert_eq!((answer.status, answer.text().as_str()), (304, ""), "{same}");
        assert_eq!(answer.header("etag"), tag);
    }
    payments.cancelled(&order).await;
    payments.becomes(&order, "refunded").await;
    let answer = unless(&client, &path, &tag).await;
    assert_eq!(answer.ok(200)["status"], "refunded");
    assert_ne!(answer.header("etag"), tag);
    // a stranger learns nothing from a tag either
    let answer = unless(&payments.somebody(), &path, "*").await;
    answer.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_payment_is_404() {
    let payments = Payments::start().await;
    for client in [payments.somebody(), payments.admin()] {
        let unknown = chassis::clock::new_id().to_string();
        for id in [unknown.as_str(), "not-an-id", "%00", "1", "Simulator"] {
            let answer = client.get(&format!("/payments/{id}")).await;
            answer.problem(404, "not-found");
        }
    }
}

fn path_of(payment: &Value) -> String {
    format!("/payments/{}", payment["id"].as_str().unwrap())
}
