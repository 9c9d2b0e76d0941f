//! How often one may call, and how much one may send.

use actix_web::web::Bytes;
use futures::stream;
use reqwest::{Body, Method};

use crate::harness::upstream::echo;
use crate::harness::{Answer, Gateway, token};

const LIMIT: usize = 256 * 1024;

fn chunked(size: usize) -> Body {
    let chunks = (0..size.div_ceil(1024)).map(move |number| {
        let length = (size - number * 1024).min(1024);
        Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; length]))
    });
    Body::wrap_stream(stream::iter(chunks.collect::<Vec<_>>()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_at_the_limit_passes_and_one_over_it_does_not() {
    let gateway = Gateway::before(echo()).await;
    let client = gateway.customer();
    assert_eq!(client.post("/orders", vec![b'x'; LIMIT]).await.body.len(), LIMIT);
    assert_eq!(client.post("/orders", chunked(LIMIT)).await.body.len(), LIMIT);
    let passed = gateway.upstream.seen().len();

    // announced: the service hears nothing of it
    client
        .post("/orders", vec![b'x'; LIMIT + 1])
        .await
        .problem(413, "payload-too-large");
    assert_eq!(gateway.upstream.seen().len(), passed);
    // not announced: counted while it flows
    client
        .post("/orders", chunked(LIMIT + 1))
        .await
        .problem(413, "payload-too-large");
    // and the gateway goes on
    assert_eq!(client.post("/orders", "{}").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_short() {
    let gateway = Gateway::before(echo()).await;
    let client = gateway.anonymous();
    assert_eq!(client.post("/auth/login", vec![b'x'; 4096]).await.status, 200);
    client
        .post("/auth/login", vec![b'x'; 4097])
        .await
        .problem(413, "payload-too-large");
    client
        .post("/auth/register", chunked(4097))
        .await
        .problem(413, "payload-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_calls_too_often_must_wait() {
    let gateway = Gateway::configured(echo(), &[("rate_limit.per_address_per_minute", "3")]).await;
    let client = gateway.anonymous();
    for left in [2, 1, 0] {
        let answer = client.get("/products").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), r#""address";q=3;w=60"#);
        assert!(
            answer
                .header("ratelimit")
                .starts_with(&format!(r#""address";r={left};t="#))
        );
    }
    let refused = client.get("/products").await;
    refused.problem(429, "rate-limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit"), format!(r#""address";r=0;t={wait}"#));
    // neither a token nor another path helps, but its health may always be asked
    gateway
        .customer()
        .get("/orders")
        .await
        .problem(429, "rate-limited");
    client.get("/nowhere").await.problem(429, "rate-limited");
    assert_ne!(client.get("/health").await.status, 429);
    assert_eq!(
        gateway
            .upstream
            .seen()
            .iter()
            .filter(|seen| seen.target == "/products")
            .count(),
        3
    );
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains("gateway_rate_limited_requests_total{limit=\"address\"} 3"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_has_a_limit_of_their_own() {
    let gateway = Gateway::configured(echo(), &[("rate_limit.per_user_per_minute", "2")]).await;
    let (one, other) = (gateway.customer(), gateway.user(token::STRANGER));
    assert_eq!(
        one.get("/orders").await.header("ratelimit-policy"),
        r#""user";q=2;w=60"#
    );
    assert_eq!(one.get("/payments").await.status, 200);
    let refused = one.get("/notifications").await;
    refused.problem(429, "rate-limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(other.get("/orders").await.status, 200);
    // what needs no token is not counted against anybody
    assert_eq!(one.get("/products").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_on_passwords_have_a_stricter_limit() {
    let gateway = Gateway::configured(echo(), &[("rate_limit.login_per_minute", "2")]).await;
    let client = gateway.anonymous();
    assert_eq!(client.post("/auth/register", "{}").await.status, 200);
    assert_eq!(client.post("/auth/login", "{}").await.status, 200);
    let refused = client.post("/auth/login", "{}").await;
    refused.problem(429, "rate-limited");
    assert!(refused.header("ratelimit-policy").starts_with("\"login\""));
    assert_eq!(client.post("/auth/refresh", "{}").await.status, 200);
    let kept = Answer::of(client.request(Method::GET, "/products")).await;
    assert_eq!(kept.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_address_is_no_new_client_but_one_that_a_trusted_proxy_tells_is() {
    let limit = ("rate_limit.per_address_per_minute", "1");
    let direct = Gateway::configured(echo(), &[limit]).await;
    let behind = Gateway::configured(echo(), &[limit, ("edge.trusted_proxies", "127.0.0.1")]).await;
    let ask = async |gateway: &Gateway, forwarded: &str| {
        let request = gateway
            .anonymous()
            .request(Method::GET, "/products")
            .header("x-forwarded-for", forwarded);
        Answer::of(request).await.status.as_u16()
    };
    assert_eq!(ask(&direct, "203.0.113.1").await, 200);
    assert_eq!(ask(&direct, "203.0.113.2").await, 429);
    assert_eq!(ask(&behind, "203.0.113.1").await, 200);
    assert_eq!(ask(&behind, "203.0.113.2").await, 200);
    assert_eq!(ask(&behind, "9.9.9.9, 203.0.113.2").await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_may_have_a_limit_of_their_own() {
    let settings = [
        ("rate_limit.per_user_per_minute", "1"),
        ("rate_limit.per_admin_per_minute", "3"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let (admin, customer) = (gateway.admin(), gateway.customer());
    for left in [2, 1, 0] {
        let answer = admin.get("/orders").await;
        assert_eq!(answer.header("ratelimit-policy"), r#""admin";q=3;w=60"#);
        assert!(
            answer
                .header("ratelimit")
                .starts_with(&format!(r#""admin";r={left};t="#))
        );
    }
    let refused = admin.get("/orders").await.problem(429, "rate-limited");
    assert_eq!(
        refused["detail"],
        r#"the policy "admin" allows 3 requests a minute"#
    );
    assert_eq!(customer.get("/orders").await.status, 200);
    let refused = customer.get("/orders").await.problem(429, "rate-limited");
    assert_eq!(
        refused["detail"],
        r#"the policy "user" allows 1 requests a minute"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_load_drivers_are_not_counted_by_address() {
    let settings = [
        ("rate_limit.per_address_per_minute", "1"),
        ("rate_limit.login_per_minute", "1"),
        ("rate_limit.exempt_networks", "127.0.0.0/8"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    for _ in 0..3 {
        assert_eq!(gateway.anonymous().get("/products").await.status, 200);
        assert_eq!(gateway.anonymous().post("/auth/login", "{}").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_limit_that_refuses_whatever_others_have_left() {
    let settings = [
        ("rate_limit.per_address_per_minute", "2"),
        ("rate_limit.login_per_minute", "1"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let client = gateway.anonymous();
    assert_eq!(client.post("/auth/login", "{}").await.status, 200);
    // when both limits read nought, and one of them lets the request pass
    let refused = client.post("/auth/login", "{}").await;
    // then the other is named, in header and body
    let problem = refused.problem(429, "rate-limited");
    assert_eq!(problem["violated-policies"], serde_json::json!(["login"]));
    assert_eq!(refused.header("ratelimit-policy"), r#""login";q=1;w=60"#);
    let wait = refused.header("retry-after");
    assert_eq!(refused.header("ratelimit"), format!(r#""login";r=0;t={wait}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_in_disguise_is_no_way_around_the_limit_of_logins() {
    let gateway = Gateway::configured(echo(), &[("rate_limit.login_per_minute", "1")]).await;
    let client = gateway.anonymous();
    assert_eq!(client.post("/auth/login", "{}").await.status, 200);
    client
        .post("/auth/login", "{}")
        .await
        .problem(429, "rate-limited");
    for disguised in ["/auth/%6cogin", "/auth/logi%6E", "/auth/login%"] {
        client.post(disguised, "{}").await.problem(404, "not-found");
    }
    assert_eq!(gateway.upstream.seen().len(), 1);
}
