//! `GET` and `PUT /payments/simulator`

use serde_json::json;

use crate::harness::{Order, Payments};

const SIMULATOR: &str = "/payments/simulator";

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
async fn what_is_left_out_forces_all_payments_without_delay() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let setting = client.put(SIMULATOR, &json!({"mode": "decline"})).await.ok(200);
    assert_eq!(
        setting,
        json!({"mode": "decline", "remaining": null, "latency_ms": 0})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_payments_end_as_they_are_forced_to() {
    let payments = Payments::start().await;
    let client = payments.admin();
    let forced = json!({"mode": "decline", "remaining": 2, "latency_ms": 0});
    client.put(SIMULATOR, &forced).await.ok(200);
    for (status, left) in [("failed", 1), ("failed", 0), ("completed", 0)] {
        let order = Order::by("pm_card_visa");
        payments.placed(&order).await;
        payments.becomes(&order, status).await;
        assert_eq!(client.get(SIMULATOR).await.ok(200)["remaining"], left);
    }
}
