//! Who may see and do what.

use chassis::auth::Role;
use chassis::test::{Answer, claims};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Payments, completed, ids, user};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_or_changed_without_a_token_that_holds() {
    let payments = Payments::start().await;
    let issuer = &payments.issuer;
    let ada = user();
    let payment = completed(ada);
    payments.stored(std::slice::from_ref(&payment)).await;
    let mut expired = claims(ada, Role::Admin);
    expired["exp"] = json!(chassis::clock::now().timestamp() - 60);
    let tokens = [
        None,
        Some("nonsense".to_owned()),
        Some(issuer.token(&expired).unwrap()),
        Some(issuer.forged(&claims(ada, Role::Admin)).unwrap()),
    ];
    let paths = [
        "/payments".to_owned(),
        format!("/payments/{}", payment.id),
        "/payments/simulator".to_owned(),
    ];
    for token in tokens {
        let client = payments.service.client(token);
        for path in &paths {
            let answer = client.get(path).await;
            answer.problem(401, "unauthenticated");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
        // also with a body that is none: whoever asks is looked at first
        for body in [
            json!({"mode": "decline", "remaining": null, "latency_ms": 0}),
            json!([]),
        ] {
            let answer = client.put("/payments/simulator", &body).await;
            answer.problem(401, "unauthenticated");
        }
    }
    let setting = payments.admin().get("/payments/simulator").await.ok(200);
    assert_eq!(setting["mode"], "approve");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_another_is_not_there() {
    let payments = Payments::start().await;
    let ada = user();
    let payment = completed(ada);
    payments.stored(std::slice::from_ref(&payment)).await;
    let path = format!("/payments/{}", payment.id);

    let stranger = payments.somebody();
    stranger.get(&path).await.problem(404, "not-found");
    let of_order = format!("/payments?order_id={}", payment.order_id);
    for path in ["/payments", &of_order] {
        assert_eq!(stranger.get(path).await.ok(200)["items"], json!([]));
    }
    let own = payments.customer(ada).get(&path).await.ok(200);
    assert_eq!(own, payments.admin().get(&path).await.ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_everybodys_and_a_customer_only_their_own() {
    let payments = Payments::start().await;
    let (ada, eve) = (user(), user());
    let (adas, eves) = (completed(ada), completed(eve));
    payments.stored(&[adas.clone(), eves.clone()]).await;
    for (client, expected) in [
        (payments.customer(ada), vec![adas.id.uuid()]),
        (payments.customer(eve), vec![eves.id.uuid()]),
        (payments.somebody(), vec![]),
    ] {
        assert_eq!(ids(&client.get("/payments").await.ok(200)), expected);
    }
    let all = payments.admin().get("/payments").await.ok(200);
    assert_eq!(ids(&all), crate::harness::newest_first(&[adas, eves]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_see_and_change_the_simulator() {
    let payments = Payments::start().await;
    let client = payments.somebody();
    let path = "/payments/simulator";
    client.get(path).await.problem(403, "forbidden");
    let body = json!({"mode": "decline", "remaining": null, "latency_ms": 0});
    let admin = payments.admin();
    admin.put(path, &body).await.ok(200);
    let other = json!({"mode": "approve"});
    client.put(path, &other).await.problem(403, "forbidden");
    let reset = client.request(Method::DELETE, path);
    Answer::to(reset).await.problem(403, "forbidden");
    let reset = payments.service.client(None).request(Method::DELETE, path);
    Answer::to(reset).await.problem(401, "unauthenticated");
    assert_eq!(admin.get(path).await.ok(200), body);
}
