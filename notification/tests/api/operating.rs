//! What an operator does about dead letters, over HTTP.

use chassis::clock;
use chassis::test::TestClient;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

use crate::harness::{Notifications, user};

pub(crate) const LETTERS: &str = "/notifications/dead-letters";

/// A fact that came without its customer, and died.
pub(crate) async fn broken(notifications: &Notifications, order: Uuid) -> Uuid {
    let (id, event) = (clock::new_id(), clock::new_id());
    let headers = json!([
        ["content-type", "application/json"],
        ["ce_specversion", "1.0"],
        ["ce_id", event],
        ["ce_type", "order.created.v1"],
        ["ce_source", "order"],
        ["ce_time", clock::now().to_rfc3339()],
        ["ce_subject", order],
        ["ce_partitionkey", order],
        ["ce_sequence", "00000000000000000001"],
        ["ce_correlationid", order],
        ["ce_causationid", order],
    ]);
    let client = stack::postgres::connect(notifications.database.url())
        .await
        .unwrap();
    client
        .batch_execute(&format!(
            "insert into work (id, kind, name, key, event_id, headers, payload, state, attempts, error_class,
                error_message, error_fingerprint, first_failed_at, last_failed_at)
             values ('{id}', 'message', 'order.created', '{order}', '{event}', '{headers}', '{{}}', 'dead', 4,
                'malformed-body', 'missing field', 'f00', now(), now())"
        ))
        .await
        .unwrap();
    id
}

async fn settled(admin: &TestClient, id: Uuid, state: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut tick = tokio::time::interval(Duration::from_millis(25));
    loop {
        tick.tick().await;
        let letter = admin.get(&format!("{LETTERS}/{id}")).await.ok(200);
        if letter["state"] == state {
            return letter;
        }
        assert!(Instant::now() < deadline, "not {state} in time: {letter}");
    }
}

#[actix_web::test]
async fn dead_letters_are_for_admins() {
    let notifications = Notifications::start().await;
    let customer = notifications.customer(user());
    let id = broken(&notifications, clock::new_id()).await;
    for path in ["", "/groups", "/audit", &format!("/{id}")] {
        customer
            .get(&format!("{LETTERS}{path}"))
            .await
            .problem(403, "forbidden");
    }
    let reason = json!({"reason": "mine"});
    customer
        .post(&format!("{LETTERS}/{id}/replay"), &reason)
        .await
        .problem(403, "forbidden");
    customer
        .get("/notifications/events/status")
        .await
        .problem(403, "forbidden");
}

#[actix_web::test]
async fn a_letter_is_looked_at_discarded_restored_mended_and_replayed() {
    let notifications = Notifications::start().await;
    let admin = notifications.admin();
    let (order, customer) = (clock::new_id(), user());
    let id = broken(&notifications, order).await;
    let letter = format!("{LETTERS}/{id}");

    let open = admin.get(&format!("{LETTERS}?state=open")).await.ok(200);
    assert_eq!(open["items"][0]["id"], json!(id));
    let groups = admin.get(&format!("{LETTERS}/groups")).await.ok(200);
    assert_eq!(groups["items"][0]["count"], 1, "{groups}");
    assert_eq!(groups["items"][0]["fingerprint"], "f00");
    admin.get(&letter).await.ok(200);
    admin
        .get(&format!("{LETTERS}/{}", clock::new_id()))
        .await
        .problem(404, "not-found");

    let because = |reason: &str| json!({ "reason": reason });
    admin
        .post(&format!("{letter}/discard"), &because(""))
        .await
        .problem(422, "validation");
    for _pressed_twice in 0..2 {
        let now = admin
            .post(&format!("{letter}/discard"), &because("no use"))
            .await
            .ok(200);
        assert_eq!(now["state"], "discarded");
    }
    admin
        .post(&format!("{letter}/replay"), &because("try"))
        .await
        .problem(409, "conflict");
    let now = admin
        .post(&format!("{letter}/restore"), &because("after all"))
        .await
        .ok(200);
    assert_eq!(now["state"], "open");

    let mended = json!({
        "reason": "the customer is known", "payload": {
            "order_id": order, "customer_id": customer, "payment_method": "pm_card_visa",
            "items": [{"sku": "TEA", "name": "Tea", "quantity": 1, "unit_price": {"amount_minor": 100, "currency": "EUR"}}],
            "total": {"amount_minor": 100, "currency": "EUR"},
        },
    });
    let now = admin
        .post(&format!("{letter}/edit-and-replay"), &mended)
        .await
        .ok(200);
    assert_eq!(now["state"], "superseded", "{now}");
    let edited: Uuid = now["superseded_by"].as_str().unwrap().parse().unwrap();
    settled(&admin, edited, "replayed").await;
    let told = notifications
        .customer(customer)
        .get("/notifications")
        .await
        .ok(200);
    assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told}");

    let audit = admin.get(&format!("{LETTERS}/audit")).await.ok(200);
    let actions: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["edit-and-replay", "restore", "discard"], "{audit}");
    assert!(audit["items"][0]["actor"].is_string());
}

#[actix_web::test]
async fn a_bulk_replay_says_first_what_it_would_do_and_is_one_when_pressed_twice() {
    let notifications = Notifications::start().await;
    let admin = notifications.admin();
    for _ in 0..3 {
        broken(&notifications, clock::new_id()).await;
    }
    let replay = |dry_run: bool| json!({"filter": {"fingerprint": "f00"}, "reason": "again", "rate_per_second": 1, "dry_run": dry_run});
    let dry = admin
        .post(&format!("{LETTERS}/replay"), &replay(true))
        .await
        .ok(202);
    assert_eq!((&dry["matched"], &dry["state"]), (&json!(3), &json!("dry_run")));
    let job = admin
        .post(&format!("{LETTERS}/replay"), &replay(false))
        .await
        .ok(202);
    let again = admin
        .post(&format!("{LETTERS}/replay"), &replay(false))
        .await
        .ok(202);
    assert_eq!(job["id"], again["id"]);
    let path = format!("{LETTERS}/jobs/{}", job["id"].as_str().unwrap());
    let stopped = admin
        .post(&format!("{path}/stop"), &json!({"reason": "enough"}))
        .await
        .ok(200);
    assert_eq!(stopped["state"], "stopped", "{stopped}");
    assert_eq!(admin.get(&path).await.ok(200)["state"], "stopped");
}
