//! What is asked of a webhook: done once under its key, and in the audit where an admin asks.

use chassis::test::Answer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Notifications, user};
use crate::receiver::Receiver;
use crate::webhooks::{LOCAL, deliveries, patch, registered, send};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_under_a_key_is_sent_once() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let client = service.customer(user());
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/hook")})).await;
    let post = async |path: &str, key: &str| {
        Answer::to(client.request(Method::POST, path).header("idempotency-key", key)).await
    };
    // a test message, asked for twice at once and again when it has arrived
    let test = format!("{hook}/test");
    let (one, other) = tokio::join!(post(&test, "k"), post(&test, "k"));
    let (one, other) = (one.ok(202), other.ok(202));
    assert_eq!(one["id"], other["id"]);
    deliveries(&client, &hook, "delivered", 1).await;
    let late = post(&test, "k").await;
    assert_eq!(
        (late.header("idempotent-replayed"), &late.ok(202)["id"]),
        ("true", &one["id"])
    );
    assert_eq!(
        late.header("location"),
        format!("{hook}/deliveries/{}", one["id"].as_str().unwrap())
    );
    assert_eq!(receiver.gets(1).await.len(), 1);

    // the same of a delivery that is sent again
    let resend = format!("{hook}/deliveries/{}/resend", one["id"].as_str().unwrap());
    let first = post(&resend, "again").await.ok(202);
    assert_eq!(receiver.gets(2).await.len(), 2);
    deliveries(&client, &hook, "delivered", 1).await;
    let second = post(&resend, "again").await;
    assert_eq!(
        (second.header("idempotent-replayed"), second.ok(202)),
        ("true", first)
    );
    deliveries(&client, &hook, "delivered", 1).await;
    assert_eq!(receiver.got().len(), 2, "and not a third time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admins_do_with_their_webhooks_is_in_the_audit_without_any_secret() {
    let service = Notifications::with(&LOCAL).await;
    let (admin, ada) = (service.admin(), service.customer(user()));
    let body = json!({"url": "http://127.0.0.1:9/hook?token=sesame", "kinds": ["order_created"]});
    registered(&ada, &body).await;
    let (hook, secret) = registered(&admin, &body).await;
    patch(&admin, &hook, &json!({"enabled": false})).await.ok(200);
    send(&admin, Method::POST, &format!("{hook}/rotate-secret"))
        .await
        .ok(200);
    assert_eq!(send(&admin, Method::DELETE, &hook).await.status, 204);
    let audit = admin.get("/notifications/dead-letters/audit").await.ok(200);
    let entries = audit["items"].as_array().unwrap();
    let actions: Vec<_> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "delete-webhook",
            "rotate-webhook-secret",
            "patch-webhook",
            "create-webhook"
        ]
    );
    assert!(entries.iter().all(|entry| entry["resource"] == hook));
    let patched = &entries[2];
    assert_eq!(
        (&patched["before"]["enabled"], &patched["after"]["enabled"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&entries[3]["before"], &entries[0]["after"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(entries[3]["after"]["origin"], "http://127.0.0.1:9");
    let text = audit.to_string();
    assert!(!text.contains("sesame") && !text.contains(&secret), "{text}");
}
