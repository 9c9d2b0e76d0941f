//! `ETag` and `If-None-Match`: what has not changed is not sent again.

use chassis::test::{Answer, TestClient};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Notifications, notification, order, user};
use crate::operating::{LETTERS, broken};
use crate::receiver::Receiver;
use crate::webhooks::{LOCAL, deliveries, registered};

async fn again(client: &TestClient, path: &str, tag: &str) -> Answer {
    Answer::to(client.request(Method::GET, path).header("if-none-match", tag)).await
}

/// The tag of a resource; who sends it gets 304 and nothing else.
async fn tag(client: &TestClient, path: &str) -> String {
    let seen = client.get(path).await;
    seen.ok(200);
    let tag = seen.header("etag").to_owned();
    let unchanged = again(client, path, &tag).await;
    assert_eq!((unchanged.status, unchanged.text().as_str()), (304, ""));
    assert_eq!(unchanged.header("etag"), tag);
    tag
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_and_a_delivery_are_sent_again_once_they_have_changed() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    let first = tag(&client, &hook).await;
    let patch = json!({"description": "shop"});
    Answer::to(client.request(Method::PATCH, &hook).json(&patch))
        .await
        .ok(200);
    assert_eq!(again(&client, &hook, &first).await.ok(200)["description"], "shop");

    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    let path = format!("{hook}/deliveries/{}", sent[0]["id"].as_str().unwrap());
    let first = tag(&client, &path).await;
    client.post(&format!("{path}/resend"), &json!({})).await.ok(202);
    assert_eq!(again(&client, &path, &first).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_sent_again_once_somebody_has_acted_on_it() {
    let service = Notifications::start().await;
    let id = broken(&service, chassis::clock::new_id()).await;
    let (admin, path) = (service.admin(), format!("{LETTERS}/{id}"));
    let first = tag(&admin, &path).await;
    let reason = json!({"reason": "nobody needs it"});
    admin.post(&format!("{path}/discard"), &reason).await.ok(200);
    assert_eq!(again(&admin, &path, &first).await.ok(200)["state"], "discarded");
}
