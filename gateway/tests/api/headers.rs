//! What a client may say to a service, and what only the gateway may.

use actix_web::HttpResponse;
use reqwest::Method;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Answer, Client, Gateway, token};

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_are_replaced_by_the_gateways_own() {
    let gateway = Gateway::before(echo()).await;
    let forged = [
        "x-user-id",
        "x-user-roles",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "forwarded",
        "x-real-ip",
    ];
    let request = gateway.customer().request(Method::GET, "/orders");
    let request = forged
        .iter()
        .fold(request, |request, name| request.header(*name, "forged"));
    assert_eq!(Answer::of(request).await.status, 200);

    let seen = gateway.upstream.only();
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(
        seen.header("x-forwarded-host"),
        Some(gateway.address().to_string())
    );
    for name in [
        "x-user-id",
        "x-user-roles",
        "x-forwarded-port",
        "forwarded",
        "x-real-ip",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_passed_on() {
    let gateway = Gateway::before(echo()).await;
    let token = gateway.issuer.customer(token::user(token::CUSTOMER)).unwrap();
    Client::new(gateway.url(""), Some(token.clone()))
        .get("/orders")
        .await;
    let seen = gateway.upstream.only().header("authorization");
    assert_eq!(seen, Some(format!("Bearer {token}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_headers_stay_on_their_side() {
    let gateway = Gateway::before(behaviour(async |_, _| {
        HttpResponse::Ok()
            .insert_header(("keep-alive", "timeout=5"))
            .insert_header(("proxy-authenticate", "Basic"))
            .insert_header(("x-kept", "1"))
            .body("")
    }))
    .await;
    let request = gateway
        .customer()
        .request(Method::GET, "/orders")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("proxy-authorization", "Basic eA==")
        .header("upgrade", "h2c")
        .header("x-kept", "1");
    let answer = Answer::of(request).await;

    let seen = gateway.upstream.only();
    let names = seen.header_names();
    for name in ["x-hop", "te", "proxy-authorization", "upgrade", "keep-alive"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    assert!(names.contains(&"x-kept"));
    assert_eq!(
        seen.header("host"),
        Some(gateway.upstream.url("").replace("http://", ""))
    );
    assert_eq!(answer.header("x-kept"), "1");
    assert_eq!(
        (answer.header("keep-alive"), answer.header("proxy-authenticate")),
        ("", "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id_when_it_is_a_decent_one() {
    let gateway = Gateway::before(echo()).await;
    let client = gateway.customer();
    let kept = Answer::of(
        client
            .request(Method::GET, "/orders")
            .header("x-request-id", "abc-1.2_3"),
    )
    .await;
    assert_eq!(kept.header("x-request-id"), "abc-1.2_3");
    let long = "x".repeat(65);
    for bad in ["", "a b", "a;b", &long] {
        let answer = Answer::of(client.request(Method::GET, "/orders").header("x-request-id", bad)).await;
        let minted: uuid::Uuid = answer.header("x-request-id").parse().unwrap();
        assert_eq!(minted.get_version_num(), 7);
    }
    let seen = gateway.upstream.seen();
    assert_eq!(seen[0].header("x-request-id").as_deref(), Some("abc-1.2_3"));
    assert_eq!(seen[1].header("x-request-id").unwrap().len(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_goes_on_behind_the_gateway() {
    let gateway = Gateway::before(echo()).await;
    let client = gateway.customer();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Answer::of(
        client
            .request(Method::GET, "/orders")
            .header("traceparent", parent),
    )
    .await;
    client.get("/orders").await;

    let seen = gateway.upstream.seen();
    let continued = seen[0].header("traceparent").unwrap();
    assert!(
        continued.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{continued}"
    );
    assert_ne!(continued, parent, "the service's parent is the gateway's span");
    let begun = seen[1].header("traceparent").unwrap();
    assert_eq!(begun.len(), 55);
    assert!(!begun.contains("4bf92f3577b34da6"), "{begun}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_programs_could_read_differently_reaches_nobody() {
    let gateway = Gateway::before(echo()).await;
    let token = gateway.issuer.customer(token::user(token::CUSTOMER)).unwrap();
    let request = |head: &str| {
        format!("GET /orders HTTP/1.1\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{head}\r\n")
    };
    let twice = format!("host: a\r\nauthorization: Bearer {token}\r\n");
    for head in [
        "host: a\r\nx_user_id: 1\r\n",
        "host: a\r\nContent_Length: 0\r\n",
        "host: a\r\nhost: b\r\n",
        "host: a@b\r\n",
        "",
        &twice,
    ] {
        let answer = crate::streaming::raw(&gateway, &request(head)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
        // two hosts, or none, are not even parsed
        let parsed = head.matches("host:").count() == 1;
        assert_eq!(answer.contains("bad-request"), parsed, "{head}: {answer}");
    }
    assert!(gateway.upstream.seen().is_empty());
    let answer = crate::streaming::raw(&gateway, &request("host: a\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_anywhere_but_in_its_header_is_none() {
    let gateway = Gateway::before(echo()).await;
    let token = gateway.issuer.customer(token::user(token::CUSTOMER)).unwrap();
    let client = gateway.anonymous();
    let in_query = client.get(&format!("/orders?access_token={token}")).await;
    in_query.problem(401, "unauthenticated");
    let request = client
        .request(Method::GET, "/orders")
        .header("cookie", format!("access_token={token}"))
        .header("x-access-token", &token);
    Answer::of(request).await.problem(401, "unauthenticated");
    assert!(gateway.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_about_its_client_and_nobody_else_is() {
    let settings = [("edge.trusted_proxies", "127.0.0.0/8, 10.0.0.0/8")];
    let behind = Gateway::configured(echo(), &settings).await;
    let direct = Gateway::before(echo()).await;
    for gateway in [&behind, &direct] {
        let request = gateway
            .customer()
            .request(Method::GET, "/orders")
            .header("x-forwarded-for", "1.1.1.1")
            .header("x-forwarded-for", "203.0.113.7, 10.0.0.3")
            .header("x-forwarded-proto", "https");
        assert_eq!(Answer::of(request).await.status, 200);
    }
    let seen = behind.upstream.only();
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("203.0.113.7"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"));
    let seen = direct.upstream.only();
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_header_that_cannot_be_obeyed_is_refused() {
    let gateway = Gateway::before(echo()).await;
    let many: Vec<_> = (0..17).map(|number| format!("x-hop-{number}")).collect();
    for value in [many.join(", ").into_bytes(), b"x-\xff".to_vec()] {
        let request = gateway
            .customer()
            .request(Method::GET, "/orders")
            .header(
                "connection",
                reqwest::header::HeaderValue::from_bytes(&value).unwrap(),
            )
            .header("x-hop-16", "1");
        Answer::of(request).await.problem(400, "bad-request");
    }
    assert!(gateway.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_bounded_in_bytes_and_in_headers() {
    let settings = [("edge.header_list_bytes_max", "2000"), ("edge.headers_max", "20")];
    let gateway = Gateway::configured(echo(), &settings).await;
    let request = || gateway.anonymous().request(Method::GET, "/products");
    let long = Answer::of(request().header("x-long", "x".repeat(2_000))).await;
    long.problem(431, "headers-too-large");
    let many = (0..20).fold(request(), |request, number| {
        request.header(format!("x-{number}"), "1")
    });
    Answer::of(many).await.problem(431, "headers-too-large");
    assert_eq!(Answer::of(request()).await.status, 200);
}
