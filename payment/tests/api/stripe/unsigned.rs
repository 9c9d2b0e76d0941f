//! What is not heard: what Stripe has not signed, and what is no event.

use chassis::clock;
use chassis::test::Answer;
use reqwest::Method;
use serde_json::json;

use super::fake::Fault;
use super::webhooks::{PATH, event, first, post, signature, signed};
use super::{Shop, WEBHOOK_SECRET};
use crate::harness::Payments;

#[tokio::test(flavor = "multi_thread")]
async fn only_what_stripe_has_signed_just_now_is_heard() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::Hold]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("confirm", 1).await;
    let body = event("evt_1", "payment_intent.succeeded", &shop.intent(&order).json());
    let now = clock::now().timestamp();
    let of = |at: i64, secret: &str| signature(at, &body, secret);
    for (what, headers) in [
        ("none", vec![]),
        ("nonsense", vec!["nonsense".to_owned()]),
        (
            "another secret",
            vec![format!("t={now},v1={}", of(now, "whsec_other"))],
        ),
        ("another body", vec![signed("{}")]),
        (
            "another time",
            vec![format!("t={},v1={}", now - 1, of(now, WEBHOOK_SECRET))],
        ),
        (
            "too old",
            vec![format!("t={},v1={}", now - 400, of(now - 400, WEBHOOK_SECRET))],
        ),
        (
            "of tomorrow",
            vec![format!("t={},v1={}", now + 400, of(now + 400, WEBHOOK_SECRET))],
        ),
        ("two headers", vec![signed(&body), signed(&body)]),
    ] {
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        let answer = post(&shop.payments, &body, &headers).await;
        assert_eq!(answer.status, 400, "{what}");
        answer.problem(400, "bad-request");
    }
    let token = shop.payments.admin();
    let answer = Answer::to(token.request(Method::POST, PATH).body(body.clone())).await;
    answer.problem(400, "bad-request");
    shop.payments.becomes(&order, "processing").await;
    assert_eq!(shop.outcomes().await, []);

    // a secret that is being changed: one of two signatures is enough
    let both = format!(
        "t={now},v1={},v1={}",
        of(now, "whsec_other"),
        of(now, WEBHOOK_SECRET)
    );
    assert_eq!(post(&shop.payments, &body, &[&both]).await.ok(200), first());
    shop.payments.becomes(&order, "completed").await;
    shop.stripe.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_and_no_event_is_refused_and_what_is_too_long_is_not_read() {
    let shop = Shop::with(&[("provider.stripe.webhook_body_limit_bytes", "2000")]).await;
    for body in [
        "",
        "[]",
        "{}",
        r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{}}}"#,
    ] {
        post(&shop.payments, body, &[&signed(body)])
            .await
            .problem(400, "bad-request");
    }
    let long = event("evt_1", "customer.created", &json!({"name": "x".repeat(2_000)}));
    post(&shop.payments, &long, &[&signed(&long)])
        .await
        .problem(413, "payload-too-large");
    assert_eq!(shop.outcomes().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_webhooks_are_not_set_up_there_are_none() {
    for settings in [&[][..], &[("provider.stripe.webhook_secret", "")][..]] {
        let (payments, _shop);
        let service = if settings.is_empty() {
            payments = Payments::start().await;
            &payments
        } else {
            _shop = Shop::with(settings).await;
            &_shop.payments
        };
        let body = event("evt_1", "payment_intent.succeeded", &json!({}));
        let now = clock::now().timestamp();
        let empty = format!("t={now},v1={}", signature(now, &body, ""));
        post(service, &body, &[&empty]).await.problem(404, "not-found");
    }
}
