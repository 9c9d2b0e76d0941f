//! Webhooks: what they hear, how often, and what happens to those that do not answer.

use chassis::test::{Answer, TestClient};
use notification::domain::Kind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Notifications, eventually, ids, notification, order, user};
use crate::receiver::{Receiver, Reply};

/// The receivers of these stories are on this machine.
pub(crate) const LOCAL: [(&str, &str); 2] = [
    ("webhooks.allow_insecure", "true"),
    ("webhooks.allow_private_addresses", "true"),
];
const HOOKS: &str = "/notifications/webhooks";

/// A registered webhook, with its secret.
pub(crate) async fn registered(client: &TestClient, body: &Value) -> (String, String) {
    let hook = client.post(HOOKS, body).await.ok(201);
    let text = |name: &str| hook[name].as_str().unwrap().to_owned();
    (format!("{HOOKS}/{}", text("id")), text("secret"))
}

pub(crate) async fn send(client: &TestClient, method: Method, path: &str) -> Answer {
    Answer::to(client.request(method, path)).await
}

pub(crate) async fn patch(client: &TestClient, path: &str, body: &Value) -> Answer {
    Answer::to(client.request(Method::PATCH, path).json(body)).await
}

/// The webhook's deliveries, once all have that status and there are so many.
pub(crate) async fn deliveries(client: &TestClient, hook: &str, status: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} deliveries that are {status}"), async || {
        let page = client.get(&format!("{hook}/deliveries")).await.ok(200);
        let items = page["items"].as_array().unwrap().clone();
        let settled = items.len() == count && items.iter().all(|item| item["status"] == status);
        settled.then_some(items)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_hears_of_a_fact_once_and_can_tell_that_it_was_us() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let (ada, eve) = (user(), user());
    let client = service.customer(ada);
    let (hook, secret) = registered(&client, &json!({"url": receiver.url("/hook?key=1")})).await;
    assert!(secret.starts_with("whsec_"));

    let told = notification(ada, order());
    // the kernel hands it over once; somebody who did not would change nothing
    service.told(&[told.clone(), notification(eve, order())]).await;
    service.told(std::slice::from_ref(&told)).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].path, "/hook?key=1");
    assert!(got[0].is_signed_with(&secret));
    assert_eq!(got[0].headers["content-type"], "application/json");
    assert_eq!(got[0].id(), sent[0]["id"]);
    let body = got[0].json();
    assert_eq!(body["type"], "order_confirmed");
    assert_eq!(body["data"]["notification_id"], told.id.to_string());
    assert_eq!(body["data"]["body"], told.body);
    assert_eq!(sent[0]["kind"], "order_confirmed");
    assert_eq!(
        (&sent[0]["attempt_count"], &sent[0]["attempts"][0]["status"]),
        (&json!(1), &json!(200))
    );
    assert_eq!(sent[0]["attempts"][0]["error"], Value::Null);

    let shown = client.get(&hook).await;
    assert!(!shown.text().contains("whsec_"), "the secret is shown once");
    assert_eq!(shown.ok(200)["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hears_of_the_kinds_it_asked_for() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let body = json!({"url": receiver.url("/"), "kinds": ["payment_failed"], "description": "shop"});
    let (hook, _) = registered(&client, &body).await;
    let mut failed = notification(ada, order());
    failed.kind = Kind::PaymentFailed;
    service.told(&[notification(ada, order()), failed]).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    assert_eq!(sent[0]["kind"], "payment_failed");

    let patched = patch(&client, &hook, &json!({"kinds": null, "description": null}))
        .await
        .ok(200);
    assert_eq!(
        (&patched["kinds"], &patched["description"]),
        (&Value::Null, &Value::Null)
    );
    service.told(&[notification(ada, order())]).await;
    deliveries(&client, &hook, "delivered", 2).await;
    assert_eq!(receiver.got().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_with_the_same_id_and_body() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, secret) = registered(&client, &json!({"url": receiver.url("/")})).await;
    let long = vec![b'x'; 1_000_000];
    receiver.replies([Reply::Status(500), Reply::Body(503, long)]);
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    let got = receiver.got();
    assert_eq!(got.len(), 3);
    for attempt in &got {
        assert!(attempt.is_signed_with(&secret));
        assert_eq!((attempt.id(), &attempt.body), (got[0].id(), &got[0].body));
    }
    let attempts = sent[0]["attempts"].as_array().unwrap();
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt["status"].clone()).collect();
    assert_eq!(statuses, [200, 503, 500]);
    assert_eq!(attempts[1]["error"], "refused-by-receiver");
    assert_eq!(
        attempts[1]["excerpt"].as_str().unwrap().len(),
        256,
        "no more of it is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_body_never_ends_is_an_answer() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    receiver.replies([Reply::Endless(202, "thank you")]);
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    let attempts = sent[0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(
        (&attempts[0]["status"], &attempts[0]["excerpt"]),
        (&json!(202), &json!("thank you"))
    );
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_on_failing_is_disabled_and_its_user_told_and_no_operator_is() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/?token=geheim")})).await;
    receiver.replies(vec![Reply::Status(500); 6]);
    for told in 1..=2 {
        service.told(&[notification(ada, order())]).await;
        deliveries(&client, &hook, "failed", told).await;
    }
    let disabled = client.get(&hook).await.ok(200);
    assert_eq!(
        (&disabled["enabled"], &disabled["disabled_reason"]),
        (&json!(false), &json!("failing"))
    );
    let page = client.get("/notifications").await.ok(200);
    let notices: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["kind"] == "webhook_disabled")
        .collect();
    assert_eq!(notices.len(), 1, "{page}");
    assert!(notices[0]["body"].as_str().unwrap().contains("127.0.0.1"));
    assert!(!notices[0]["body"].as_str().unwrap().contains("geheim"));
    let letters = service.admin().get("/notifications/dead-letters").await.ok(200);
    assert_eq!(letters["items"], json!([]));

    // it hears nothing while it is disabled
    service.told(&[notification(ada, order())]).await;
    let failed = deliveries(&client, &hook, "failed", 2).await;
    let again = format!("{hook}/deliveries/{}/resend", failed[0]["id"].as_str().unwrap());
    send(&client, Method::POST, &again).await.problem(409, "conflict");

    let enabled = patch(&client, &hook, &json!({"enabled": true})).await.ok(200);
    assert_eq!(
        (&enabled["enabled"], &enabled["consecutive_failures"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(receiver.got().len(), 6);
    send(&client, Method::POST, &again).await.ok(202);
    let got = receiver.gets(7).await;
    assert_eq!(got[6].id(), failed[0]["id"].as_str().unwrap());
    eventually("the delivery sent again", async || {
        let page = client
            .get(&format!("{hook}/deliveries?status=delivered"))
            .await
            .ok(200);
        (ids(&page).len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_it_is_gone_is_not_asked_again() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    receiver.replies([Reply::Status(410)]);
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "failed", 1).await;
    assert_eq!(sent[0]["attempts"][0]["error"], "gone");
    assert_eq!(receiver.got().len(), 1);
    assert_eq!(client.get(&hook).await.ok(200)["disabled_reason"], "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_answers_is_not_waited_for() {
    let settings = [
        LOCAL[0],
        LOCAL[1],
        ("webhooks.timeout_ms", "200"),
        ("webhooks.retry_delays_ms", ""),
    ];
    let (service, receiver) = (Notifications::with(&settings).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    receiver.replies([Reply::Never]);
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "failed", 1).await;
    assert_eq!(sent[0]["attempts"][0]["error"], "timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_tried_once_and_says_nothing_about_the_webhook() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let client = service.customer(user());
    let (hook, secret) = registered(&client, &json!({"url": receiver.url("/")})).await;
    receiver.replies([Reply::Status(410)]);
    let answer = send(&client, Method::POST, &format!("{hook}/test")).await;
    assert_eq!(answer.ok(202)["kind"], Value::Null);
    let place = answer.header("location").to_owned();
    deliveries(&client, &hook, "failed", 1).await;
    assert_eq!(client.get(&place).await.ok(200)["attempt_count"], 1);
    assert_eq!(client.get(&hook).await.ok(200)["enabled"], true);
    let got = receiver.got();
    assert!(got.len() == 1 && got[0].is_signed_with(&secret));
    assert_eq!(got[0].json()["type"], "test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_signs_beside_the_new_one_for_a_while() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let client = service.customer(user());
    let (hook, old) = registered(&client, &json!({"url": receiver.url("/")})).await;
    let rotated = send(&client, Method::POST, &format!("{hook}/rotate-secret"))
        .await
        .ok(200);
    let new = rotated["secret"].as_str().unwrap();
    assert_ne!(new, old);
    send(&client, Method::POST, &format!("{hook}/test")).await.ok(202);
    let got = receiver.gets(1).await;
    assert!(got[0].is_signed_with(new) && got[0].is_signed_with(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_removed_hears_nothing_and_leaves_nothing_behind() {
    let settings = [LOCAL[0], LOCAL[1], ("webhooks.retry_delays_ms", "3600000")];
    let (service, receiver) = (Notifications::with(&settings).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    receiver.replies([Reply::Status(500)]);
    service.told(&[notification(ada, order())]).await;
    let waiting = deliveries(&client, &hook, "waiting", 1).await;
    assert!(waiting[0]["next_attempt_at"].is_string());
    assert_eq!(send(&client, Method::DELETE, &hook).await.status, 204);
    send(&client, Method::DELETE, &hook)
        .await
        .problem(404, "not-found");
    assert_eq!(service.count("select count(*) from delivery").await, 0);
    eventually("no work", async || {
        (service.count("select count(*) from work").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_another_is_not_there() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    let delivery = format!("{hook}/deliveries/{}", sent[0]["id"].as_str().unwrap());
    for other in [service.customer(user()), service.admin()] {
        for path in [hook.clone(), format!("{hook}/deliveries"), delivery.clone()] {
            other.get(&path).await.problem(404, "not-found");
        }
        for path in [
            format!("{hook}/test"),
            format!("{hook}/rotate-secret"),
            format!("{delivery}/resend"),
        ] {
            send(&other, Method::POST, &path).await.problem(404, "not-found");
        }
        patch(&other, &hook, &json!({"enabled": false}))
            .await
            .problem(404, "not-found");
        send(&other, Method::DELETE, &hook)
            .await
            .problem(404, "not-found");
        assert_eq!(other.get(HOOKS).await.ok(200)["items"], json!([]));
    }
    // a delivery of another webhook is not one of this
    let (second, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    let foreign = format!("{second}/deliveries/{}", sent[0]["id"].as_str().unwrap());
    client.get(&foreign).await.problem(404, "not-found");
    send(&client, Method::POST, &format!("{foreign}/resend"))
        .await
        .problem(404, "not-found");
    client
        .get(&format!("{HOOKS}/no-id"))
        .await
        .problem(404, "not-found");
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_bounded_and_known() {
    let settings = [LOCAL[0], LOCAL[1], ("webhooks.max_per_user", "2")];
    let (service, receiver) = (Notifications::with(&settings).await, Receiver::start());
    let client = service.customer(user());
    let url = receiver.url("/");
    for (body, pointer) in [
        (json!({"url": url, "secret": "mine"}), "/secret"),
        (json!({"url": url, "kinds": []}), "/kinds"),
        (json!({"url": url, "kinds": ["gossip"]}), "/kinds/0"),
        (
            json!({"url": url, "description": "x".repeat(201)}),
            "/description",
        ),
        (json!({"url": url, "description": "a\u{0}b"}), "/description"),
        (json!({"url": 7}), "/url"),
    ] {
        let problem = client.post(HOOKS, &body).await.problem(422, "validation");
        assert_eq!(problem.errors[0].pointer, pointer, "{body}");
    }
    assert_eq!(
        client.get(HOOKS).await.ok(200)["items"],
        json!([]),
        "nothing is half stored"
    );
    let (first, _) = registered(&client, &json!({"url": url})).await;
    registered(&client, &json!({"url": url})).await;
    client
        .post(HOOKS, &json!({"url": url}))
        .await
        .problem(409, "conflict");
    let page = client.get(&format!("{HOOKS}?limit=1")).await.ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = client
        .get(&format!("{HOOKS}?limit=1&cursor={cursor}"))
        .await
        .ok(200);
    assert_eq!(ids(&rest).len(), 1);
    assert!(first.ends_with(&ids(&rest)[0].to_string()));
    client
        .get(&format!("{first}/deliveries?status=lost"))
        .await
        .problem(400, "invalid-query");
    patch(&client, &first, &json!({"failures": 0}))
        .await
        .problem(422, "validation");
}

/// Sent again with its key, a registration gets the same answer with the same secret, also when both come at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_with_a_key_makes_one_webhook_with_one_secret() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let client = service.customer(user());
    let keyed = async |client: &TestClient, url: &str| {
        let request = client
            .request(Method::POST, HOOKS)
            .header("idempotency-key", "\"k1\"");
        Answer::to(request.json(&json!({ "url": url }))).await
    };
    let url = receiver.url("/hook");
    let answers = futures::future::join_all((0..10).map(|_| keyed(&client, &url))).await;
    let replayed = |answer: &Answer| answer.header("idempotent-replayed") == "true";
    assert_eq!(answers.iter().filter(|answer| !replayed(answer)).count(), 1);
    let location = answers[0].header("location").to_owned();
    assert!(answers.iter().all(|answer| answer.header("location") == location));
    let bodies: Vec<Value> = answers.into_iter().map(|answer| answer.ok(201)).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert!(bodies[0]["secret"].as_str().unwrap().starts_with("whsec_"));
    let listed = client.get(HOOKS).await.ok(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);

    let elsewhere = receiver.url("/elsewhere");
    keyed(&client, &elsewhere)
        .await
        .problem(422, "idempotency-mismatch");
    // a key is its user's
    let eve = service.customer(user());
    keyed(&eve, &elsewhere).await.ok(201);
    // a webhook that is gone takes its key along
    send(&client, Method::DELETE, &location).await;
    let anew = keyed(&client, &elsewhere).await;
    assert_ne!(anew.header("location"), location);
    anew.ok(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_when_to_come_again_is_asked_then_within_bounds() {
    let settings = [
        LOCAL[0],
        LOCAL[1],
        ("webhooks.retry_delays_ms", "600000,600000,600000"),
        ("webhooks.retry_after_min_ms", "50"),
        ("webhooks.retry_after_max_ms", "200"),
    ];
    let (service, receiver) = (Notifications::with(&settings).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/hook")})).await;
    // too soon, and too late: both within a second instead of ten minutes
    receiver.replies([Reply::Later(503, "0"), Reply::Later(429, "86400")]);
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "delivered", 1).await;
    let attempts = sent[0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3, "{attempts:?}");
    let got = receiver.got();
    assert_eq!(got.len(), 3);
    let data = &got[0].json()["data"];
    assert_eq!(data["status"], "confirmed");
    assert_eq!(data["amount"], json!({"amount_minor": 1999, "currency": "EUR"}));
    assert!(data.get("code").is_none(), "{data}");
}
