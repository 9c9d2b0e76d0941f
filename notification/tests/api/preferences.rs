//! `GET` and `PUT /notifications/preferences`

use notification::domain::Kind;
use serde_json::json;

use crate::harness::{Notifications, ids, notification, order, user};
use crate::receiver::Receiver;
use crate::webhooks::{LOCAL, deliveries, registered};

const PREFERENCES: &str = "/notifications/preferences";

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_told_until_its_user_says_otherwise() {
    let service = Notifications::start().await;
    let client = service.customer(user());
    let all = client.get(PREFERENCES).await.ok(200);
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), Kind::ALL.len());
    for item in items {
        assert_eq!(
            (&item["in_app"], &item["email"], &item["webhook"]),
            (&json!(true), &json!(true), &json!(true))
        );
    }
    // what was read can be written
    assert_eq!(client.put(PREFERENCES, &all).await.ok(200), all);
    let one = json!({"kind": "order_created", "in_app": false, "email": false, "webhook": true});
    let now = client.put(PREFERENCES, &json!({"items": [one]})).await.ok(200);
    assert_eq!(now["items"][1], one);
    assert_eq!(client.get(PREFERENCES).await.ok(200), now);
    assert_eq!(client.put(PREFERENCES, &json!({"items": []})).await.ok(200), all);
    assert_eq!(service.customer(user()).get(PREFERENCES).await.ok(200), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_is_not_told_on_that_way() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    let wanted = json!({"items": [
        {"kind": "order_confirmed", "in_app": false, "email": true, "webhook": true},
        {"kind": "payment_failed", "in_app": true, "email": true, "webhook": false},
    ]});
    client.put(PREFERENCES, &wanted).await.ok(200);
    let confirmed = notification(ada, order());
    let mut failed = notification(ada, order());
    failed.kind = Kind::PaymentFailed;
    service.told(&[confirmed, failed.clone()]).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    assert_eq!(sent[0]["kind"], "order_confirmed");
    let listed = client.get("/notifications").await.ok(200);
    assert_eq!(ids(&listed), [failed.id.uuid()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_that_make_no_sense_are_refused_whole() {
    let service = Notifications::start().await;
    let client = service.customer(user());
    let before = client.get(PREFERENCES).await.ok(200);
    let one = json!({"kind": "welcome", "in_app": false, "email": true, "webhook": true});
    for (body, pointer) in [
        (json!({"items": [one, one]}), "/items/1/kind"),
        (
            json!({"items": [{"kind": "gossip", "in_app": true, "email": true, "webhook": true}]}),
            "/items/0/kind",
        ),
        (
            json!({"items": [{"kind": "welcome", "in_app": true, "email": true}]}),
            "/items/0/webhook",
        ),
        (json!({"items": [], "all": true}), "/all"),
        (json!({"items": vec![one.clone(); 9]}), "/items"),
    ] {
        let problem = client.put(PREFERENCES, &body).await.problem(422, "validation");
        assert_eq!(problem.errors[0].pointer, pointer, "{body}");
    }
    assert_eq!(client.get(PREFERENCES).await.ok(200), before);
}
