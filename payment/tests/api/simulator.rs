//! `GET`, `PUT` and `DELETE /payments/simulator`

use chassis::test::Answer;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Order, Payments};

const SIMULATOR: &str = "/payments/simulator";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_forces_payments_is_in_the_audit() {
    let payments = Payments::start().await;
    let admin = payments.admin();
    let decline = json!({"mode": "decline", "remaining": 2, "latency_ms": 0});
    admin.put("/payments/simulator", &decline).await.ok(200);
    let reset = admin.request(reqwest::Method::DELETE, "/payments/simulator");
    assert_eq!(chassis::test::Answer::to(reset).await.status, 204);
    let audit = admin.get("/payments/dead-letters/audit").await.ok(200);
    let nothing = json!({"mode": "approve", "remaining": 0, "latency_ms": 0});
    let told = audit["items"].as_array().unwrap().iter();
    let told: Vec<_> = told.map(|entry| (&entry["before"], &entry["after"])).collect();
    assert_eq!(told, [(&decline, &nothing), (&nothing, &decline)]);
    assert_eq!(audit["items"][0]["action"], "force-payments");
    assert_eq!(audit["items"][0]["resource"], "/payments/simulator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_shown_as_it_was_made() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let settings = [
        json!({"mode": "approve", "remaining": null, "latency_ms": 0}),
        json!({"mode": "decline", "remaining": 1, "latency_ms": 60_000}),
        json!({"mode": "error", "remaining": 0, "latency_ms": 1}),
        json!({"mode": "timeout", "remaining": 1_000_000, "latency_ms": 0}),
    ];
    for setting in settings {
        assert_eq!(client.put(SIMULATOR, &setting).await.ok(200), setting);
        // the next admin sees the same
        assert_eq!(payments.admin().get(SIMULATOR).await.ok(200), setting);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_forces_one_payment_without_delay() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let setting = client.put(SIMULATOR, &json!({"mode": "decline"})).await.ok(200);
    assert_eq!(
        setting,
        json!({"mode": "decline", "remaining": 1, "latency_ms": 0})
    );
    paid(&payments, "failed").await;
    paid(&payments, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_was_reset_forces_nothing() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let declines = json!({"mode": "decline", "remaining": null, "latency_ms": 60_000});
    client.put(SIMULATOR, &declines).await.ok(200);
    for _again in 0..2 {
        let reset = Answer::to(client.request(Method::DELETE, SIMULATOR)).await;
        assert_eq!((reset.status, reset.text()), (204, String::new()));
        assert_eq!(
            client.get(SIMULATOR).await.ok(200),
            json!({"mode": "approve", "remaining": 0, "latency_ms": 0})
        );
    }
    paid(&payments, "completed").await;
}

/// An order by a card that is good ends so.
async fn paid(payments: &Payments, status: &str) {
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    payments.becomes(&order, status).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_payments_end_as_they_are_forced_to() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let forced = json!({"mode": "decline", "remaining": 2, "latency_ms": 0});
    client.put(SIMULATOR, &forced).await.ok(200);
    for (status, left) in [("failed", 1), ("failed", 0), ("completed", 0)] {
        paid(&payments, status).await;
        assert_eq!(client.get(SIMULATOR).await.ok(200)["remaining"], left);
    }
}
