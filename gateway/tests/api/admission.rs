//! Who gets in, and what is said to those who do not.

use reqwest::Method;

use crate::harness::upstream::echo;
use crate::harness::{Answer, Client, Gateway, token};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_token_nothing_reaches_a_service() {
    let gateway = Gateway::before(echo()).await;
    let anonymous = gateway.anonymous();
    for (method, path) in [
        ("GET", "/orders"),
        ("POST", "/orders"),
        ("GET", "/orders/1/events"),
        ("PUT", "/products/A"),
        ("GET", "/payments/simulator"),
        ("GET", "/notifications/stream"),
        ("GET", "/auth/me"),
        ("POST", "/auth/logout-all"),
        ("GET", "/auth/dead-letters"),
        ("GET", "/orders/01990000-0000-7000-8000-000000000001/timeline"),
    ] {
        let answer = Answer::of(anonymous.request(method.parse().unwrap(), path)).await;
        answer.problem(401, "unauthenticated");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"quadrille\"",
            "{method} {path}"
        );
    }
    for bad in [
        token::expired(&gateway.issuer),
        token::foreign(&gateway.issuer),
        "abc".to_owned(),
        format!("{}x", token::expired(&gateway.issuer)),
    ] {
        let answer = Client::new(gateway.url(""), Some(bad)).get("/orders").await;
        answer.problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
    assert!(gateway.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn some_doors_are_open_to_everybody() {
    let gateway = Gateway::before(echo()).await;
    let anonymous = gateway.anonymous();
    for (method, path) in [
        ("POST", "/auth/register"),
        ("POST", "/auth/login"),
        ("POST", "/auth/refresh"),
        ("POST", "/auth/logout"),
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/products"),
        ("GET", "/products?limit=5"),
    ] {
        let answer = Answer::of(anonymous.request(method.parse().unwrap(), path)).await;
        assert_eq!(answer.status, 200, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_admins_may_do_is_left_to_the_services() {
    let gateway = Gateway::before(echo()).await;
    assert_eq!(gateway.customer().get("/payments/simulator").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_routed_is_not_found() {
    let gateway = Gateway::before(echo()).await;
    let client = gateway.customer();
    for path in [
        "/",
        "/metrics",
        "/livez",
        "/readyz",
        "/internal",
        "/internal/keys",
        "/.git/config",
        "/ordersX",
        "/operations/other",
        "/docs/nobody",
        "/%6frders",
    ] {
        client.get(path).await.problem(404, "not-found");
    }
    // what reqwest would tidy up is sent by hand
    for path in ["/products/../orders", "//orders", "/orders/%2e%2e/payments"] {
        let answer = crate::streaming::raw(
            &gateway,
            &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    assert!(gateway.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_nobody_has_are_refused() {
    let gateway = Gateway::before(echo()).await;
    let client = gateway.customer();
    for method in ["TRACE", "BREW"] {
        let answer = Answer::of(client.request(method.parse().unwrap(), "/orders")).await;
        answer.problem(405, "method-not-allowed");
        assert!(answer.header("allow").contains("POST"));
    }
    for path in [
        "/health",
        "/docs",
        "/docs/orders",
        "/orders/01990000-0000-7000-8000-000000000001/timeline",
    ] {
        let answer = Answer::of(client.request(Method::POST, path)).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS", "{path}");
    }
    assert!(gateway.upstream.seen().is_empty());
}

/// Whoever asks for what nobody has is not asked who they are; and what a resource can be asked is no secret.
#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_protected_the_answer_is_404_or_405_and_options_say_what_is_allowed() {
    let gateway = Gateway::before(echo()).await;
    let client = gateway.anonymous();
    let ask = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Answer::of(client.request(method, path)).await
    };
    for (method, path, allowed) in [
        ("GET", "/auth/login", "POST, OPTIONS"),
        ("HEAD", "/auth/register", "POST, OPTIONS"),
        ("POST", "/products", "GET, HEAD, OPTIONS"),
        ("GET", "/products/KEYBOARD-TKL", "PUT, OPTIONS"),
        ("DELETE", "/orders", "GET, HEAD, POST, OPTIONS"),
        ("PUT", "/payments/1", "GET, HEAD, OPTIONS"),
        ("GET", "/payments/webhooks/stripe", "POST, OPTIONS"),
        ("GET", "/orders/dead-letters/replay", "POST, OPTIONS"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        let told: Vec<_> = answer.headers.get_all("allow").iter().collect();
        assert_eq!(told, [allowed], "{method} {path}");
        let options = ask("OPTIONS", path).await;
        assert_eq!(options.status, 204, "{path}");
        assert_eq!(options.header("allow"), allowed, "{path}");
    }
    for path in [
        "/auth/login/x",
        "/products/A/B",
        "/orders/1/nothing",
        "/notifications/a/b/c",
    ] {
        ask("GET", path).await.problem(404, "not-found");
        ask("OPTIONS", path).await.problem(404, "not-found");
    }
    for path in ["/health", "/docs", "/orders/1/timeline"] {
        assert_eq!(
            ask("OPTIONS", path).await.header("allow"),
            "GET, HEAD, OPTIONS",
            "{path}"
        );
    }
    // what is protected is
    for (method, path) in [
        ("GET", "/orders"),
        ("HEAD", "/orders/1"),
        ("PUT", "/products/A"),
        ("POST", "/orders/dead-letters/1/replay"),
        ("GET", "/operations/audit"),
    ] {
        assert_eq!(ask(method, path).await.status, 401, "{method} {path}");
    }
    assert!(gateway.upstream.seen().is_empty());
    // who shows a token is led to the service, which may know more than the gateway
    let customer = gateway.customer();
    assert_eq!(customer.get("/orders/1/new-in-the-service").await.status, 200);
    assert_eq!(gateway.upstream.only().target, "/orders/1/new-in-the-service");
}
