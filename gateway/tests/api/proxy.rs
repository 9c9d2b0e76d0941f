//! What passes the gateway, passes it unchanged.

use actix_web::HttpResponse;
use reqwest::Method;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Answer, Gateway};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_its_service_as_it_was_sent() {
    let gateway = Gateway::before(echo()).await;
    let sent = gateway
        .customer()
        .request(Method::PUT, "/products/A%20b%2Fc?x=1&y=%C3%A9&x=2")
        .header("content-type", "application/json")
        .header("if-match", "\"7\"")
        .body("{\"name\":\"é\"}");
    let answer = Answer::of(sent).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "{\"name\":\"é\"}");
    let seen = gateway.upstream.only();
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.target, "/products/A%20b%2Fc?x=1&y=%C3%A9&x=2");
    assert_eq!(seen.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(seen.header("if-match").as_deref(), Some("\"7\""));
    assert_eq!(seen.header("content-length").as_deref(), Some("13"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_its_client_as_it_was_given() {
    let gateway = Gateway::before(behaviour(async |_, _| {
        HttpResponse::Accepted()
            .insert_header(("location", "/orders/1"))
            .insert_header(("etag", "\"1\""))
            .append_header(("link", "</orders?cursor=a>; rel=\"next\""))
            .append_header(("link", "</orders>; rel=\"first\""))
            .content_type("application/json")
            .body("{}")
    }))
    .await;
    let answer = gateway.customer().post("/orders", "{}").await;

    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("location"), "/orders/1");
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(answer.headers.get_all("link").iter().count(), 2);
    assert_eq!(answer.header("content-length"), "2");
    assert_eq!(answer.headers.get_all("date").iter().count(), 1);
    assert_eq!(answer.text(), "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_services_own_error_is_not_touched() {
    const PROBLEM: &str = r#"{"type":"https://quadrille.dev/problems/validation","status":422}"#;
    let gateway = Gateway::before(behaviour(async |_, _| {
        HttpResponse::UnprocessableEntity()
            .content_type("application/problem+json")
            .body(PROBLEM)
    }))
    .await;
    let answer = gateway.customer().post("/orders", "{}").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (422, PROBLEM));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_stay_without_one() {
    let gateway = Gateway::before(behaviour(async |request, _| match request.path() {
        "/orders/gone" => HttpResponse::NoContent().finish(),
        "/orders/same" => HttpResponse::NotModified()
            .insert_header(("etag", "\"1\""))
            .finish(),
        _ => HttpResponse::Ok()
            .content_type("application/json")
            .body("{\"id\":1}"),
    }))
    .await;
    let client = gateway.customer();
    let gone = client.get("/orders/gone").await;
    assert_eq!((gone.status.as_u16(), gone.body.len()), (204, 0));
    assert!(!gone.headers.contains_key("transfer-encoding"));
    let same = client.get("/orders/same").await;
    assert_eq!((same.status.as_u16(), same.header("etag")), (304, "\"1\""));
    let head = Answer::of(client.request(Method::HEAD, "/orders/1")).await;
    assert_eq!(
        (
            head.status.as_u16(),
            head.header("content-length"),
            head.body.len()
        ),
        (200, "8", 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_services_are_used_again() {
    let gateway = Gateway::before(behaviour(async |request, _| {
        HttpResponse::Ok().body(request.peer_addr().unwrap().port().to_string())
    }))
    .await;
    let client = gateway.customer();
    let first = client.get("/orders").await.text();
    for _ in 0..20 {
        assert_eq!(client.get("/orders").await.text(), first);
    }
}
