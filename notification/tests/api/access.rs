//! Whose notifications are whose.

use chassis::auth::Role;
use chassis::test::claims;
use serde_json::json;

use crate::harness::{Notifications, ids, newest_first, notifications, order, user};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_only_their_own_admins_too() {
    let service = Notifications::start().await;
    let (ada, eve, tea) = (user(), user(), order());
    let adas = notifications(ada, tea, 2);
    let eves = notifications(eve, order(), 1);
    service.told(&adas).await;
    service.told(&eves).await;

    let seen = async |client: chassis::test::TestClient, path: &str| ids(&client.get(path).await.ok(200));
    assert_eq!(
        seen(service.customer(ada), "/notifications").await,
        newest_first(&adas)
    );
    assert_eq!(
        seen(service.customer(eve), "/notifications").await,
        newest_first(&eves)
    );
    assert!(seen(service.admin(), "/notifications").await.is_empty());
    let of_ada = format!("/notifications?order_id={tea}");
    assert!(seen(service.customer(eve), &of_ada).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_anything_without_a_token_that_holds() {
    let service = Notifications::start().await;
    let ada = user();
    let mut expired = claims(ada, Role::Customer);
    expired["exp"] = json!(chassis::clock::now().timestamp() - 60);
    let issuer = &service.issuer;
    let tokens = [
        None,
        Some("nonsense".to_owned()),
        Some(issuer.token(&expired).unwrap()),
        Some(issuer.forged(&claims(ada, Role::Customer)).unwrap()),
    ];
    for token in tokens {
        let client = service.service.client(token);
        client.get("/notifications").await.problem(401, "unauthenticated");
        let read = format!("/notifications/{}/read", chassis::clock::new_id());
        client
            .post(&read, &json!({}))
            .await
            .problem(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_is_documented_and_nothing_else_is_there() {
    let service = Notifications::start().await;
    let client = service.customer(user());
    let document = client.get("/openapi.json").await.ok(200);
    let mut paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    paths.sort_unstable();
    let expected = [
        "/notifications",
        "/notifications/dead-letters",
        "/notifications/dead-letters/audit",
        "/notifications/dead-letters/groups",
        "/notifications/dead-letters/jobs",
        "/notifications/dead-letters/jobs/{id}",
        "/notifications/dead-letters/jobs/{id}/stop",
        "/notifications/dead-letters/replay",
        "/notifications/dead-letters/{id}",
        "/notifications/dead-letters/{id}/discard",
        "/notifications/dead-letters/{id}/edit-and-replay",
        "/notifications/dead-letters/{id}/replay",
        "/notifications/dead-letters/{id}/restore",
        "/notifications/events/stats",
        "/notifications/events/status",
        "/notifications/preferences",
        "/notifications/stream",
        "/notifications/webhooks",
        "/notifications/webhooks/{id}",
        "/notifications/webhooks/{id}/deliveries",
        "/notifications/webhooks/{id}/deliveries/{delivery}",
        "/notifications/webhooks/{id}/deliveries/{delivery}/resend",
        "/notifications/webhooks/{id}/rotate-secret",
        "/notifications/webhooks/{id}/test",
        "/notifications/{id}/read",
    ];
    assert_eq!(paths, expected);
    client.get("/nothing").await.problem(404, "not-found");
    let refused = client.post("/notifications", &json!({})).await;
    refused.problem(405, "method-not-allowed");
    assert_eq!(refused.header("allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_broker_it_is_degraded_and_still_answers() {
    let service = Notifications::start().await;
    let health = service.service.client(None).get("/health").await.ok(503);
    assert_eq!(
        (&health["database"], &health["broker"]),
        (&json!("ok"), &json!("down"))
    );
    assert_eq!(health["consumer"]["state"], "waiting");
    let page = service.customer(user()).get("/notifications").await.ok(200);
    assert_eq!(page, json!({"items": [], "next_cursor": null}));
}
