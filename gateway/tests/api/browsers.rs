//! What browsers are told.

use actix_web::HttpResponse;
use reqwest::Method;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Answer, Gateway};

const SHOP: &str = "https://shop.example";

async fn from_page(gateway: &Gateway, origin: &str) -> Answer {
    let request = gateway
        .anonymous()
        .request(Method::GET, "/products")
        .header("origin", origin);
    Answer::of(request).await
}

async fn preflight(gateway: &Gateway, origin: &str) -> Answer {
    let request = gateway
        .anonymous()
        .request(Method::OPTIONS, "/orders")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, idempotency-key");
    Answer::of(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_may_call_unless_its_origin_is_configured() {
    let gateway = Gateway::before(echo()).await;
    assert_eq!(
        from_page(&gateway, SHOP)
            .await
            .header("access-control-allow-origin"),
        ""
    );
    // what the resource can be asked is told to everybody, and that this page may is told to nobody
    let told = preflight(&gateway, SHOP).await;
    assert_eq!(told.status, 204);
    assert_eq!(told.header("allow"), "GET, HEAD, POST, OPTIONS");
    let cors = told
        .headers
        .keys()
        .find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(cors, None);

    let settings = [("edge.cors_origins", "https://shop.example,https://desk.example")];
    let gateway = Gateway::configured(echo(), &settings).await;
    let answer = from_page(&gateway, SHOP).await;
    assert_eq!(answer.header("access-control-allow-origin"), SHOP);
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert!(
        answer
            .header("access-control-expose-headers")
            .contains("retry-after")
    );
    assert!(answer.header("vary").to_ascii_lowercase().contains("origin"));
    let allowed = preflight(&gateway, SHOP).await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-max-age"), "600");
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("idempotency-key")
    );
    for stranger in [
        "https://evil.example",
        "https://shop.example.evil.example",
        "null",
    ] {
        assert_eq!(
            from_page(&gateway, stranger)
                .await
                .header("access-control-allow-origin"),
            ""
        );
        preflight(&gateway, stranger).await.problem(400, "bad-request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_data_and_no_page_unless_it_says_so_itself() {
    let gateway = Gateway::before(behaviour(async |request, _| {
        let mut response = HttpResponse::Ok();
        response.insert_header(("server", "secret/1.0"));
        if request.path() == "/products" {
            response.insert_header(("cache-control", "max-age=60"));
        }
        response.body("{}")
    }))
    .await;
    for answer in [
        gateway.customer().get("/orders").await,
        gateway.anonymous().get("/orders").await,
        gateway.anonymous().get("/nowhere").await,
    ] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; frame-ancestors 'none'"
        );
        assert_eq!(
            answer.header("strict-transport-security"),
            "",
            "not by plain HTTP"
        );
        assert_eq!(answer.header("server"), "");
    }
    assert_eq!(
        gateway.customer().get("/orders").await.header("cache-control"),
        "no-store"
    );
    assert_eq!(
        gateway.customer().get("/products").await.header("cache-control"),
        "max-age=60"
    );
    let page = gateway.anonymous().get("/docs").await;
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'self'")
    );
}
