//! `/docs`: one page a service, without a token.

use crate::harness::Gateway;
use crate::harness::upstream::documents;

#[tokio::test(flavor = "multi_thread")]
async fn each_service_has_its_page_and_its_document() {
    let gateway = Gateway::before(documents(&[("/openapi.json", 200, r#"{"openapi":"3.1.0"}"#)])).await;
    let client = gateway.anonymous();
    let index = client.get("/docs").await;
    assert_eq!(index.status, 200);
    for name in ["auth", "orders", "payments", "notifications", "gateway"] {
        assert!(index.text().contains(&format!("/docs/{name}")), "{name}");
        for path in [format!("/docs/{name}"), format!("/docs/{name}/")] {
            let page = client.get(&path).await;
            assert_eq!(
                (page.status.as_u16(), page.header("content-type")),
                (200, "text/html; charset=utf-8")
            );
            assert!(page.text().contains(&format!("/docs/{name}/openapi.json")));
        }
        let document = client.get(&format!("/docs/{name}/openapi.json")).await;
        assert_eq!(document.status, 200);
        assert!(document.json()["openapi"].as_str().unwrap().starts_with("3.1"));
    }
    assert_eq!(
        gateway
            .upstream
            .seen()
            .iter()
            .filter(|seen| seen.target == "/openapi.json")
            .count(),
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_need_nothing_from_elsewhere() {
    let gateway = Gateway::before(documents(&[])).await;
    let client = gateway.anonymous();
    let page = client.get("/docs/orders").await.text();
    assert!(!page.contains("http://") && !page.contains("https://"));
    let references: Vec<&str> = page
        .split('"')
        .filter(|part| part.starts_with("/docs/assets/"))
        .collect();
    assert!(references.len() >= 3, "{page}");
    for asset in references {
        let answer = client.get(asset).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(!answer.body.is_empty());
    }
    client.get("/docs/assets/none.js").await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_document_tells_of_its_timeline() {
    let gateway = Gateway::before(documents(&[])).await;
    let document = gateway.anonymous().get("/docs/gateway/openapi.json").await.json();
    let timeline = &document["paths"]["/orders/{id}/timeline"]["get"];
    assert!(timeline["responses"]["200"].is_object(), "{document}");
    assert!(document["paths"]["/health"]["get"]["responses"]["503"].is_object());
    assert_eq!(gateway.anonymous().get("/openapi.json").await.json(), document);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_interface_is_one_document_and_has_a_page() {
    const PART: &str = r##"{"openapi":"3.1.0","info":{"title":"a part","version":"1"},"paths":{},
        "components":{"schemas":{"Problem":{"type":"string"}}},"tags":[{"name":"part"}]}"##;
    let gateway = Gateway::before(documents(&[("/openapi.json", 200, PART)])).await;
    let client = gateway.anonymous();
    let whole = client.get("/docs/openapi.json").await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("content-type")),
        (200, "application/json")
    );
    let whole = whole.json();
    assert_eq!(whole["info"]["title"], "Quadrille");
    assert!(whole["paths"]["/health"]["get"].is_object(), "{whole}");
    assert_eq!(
        whole["components"]["schemas"]["Problem"],
        serde_json::json!({"type": "string"})
    );
    assert_eq!(
        whole["components"]["schemas"]["gateway_Problem"]["type"],
        "object"
    );
    assert_eq!(client.get("/docs/quadrille/openapi.json").await.json(), whole);
    let page = client.get("/docs/quadrille").await.text();
    assert!(
        page.contains("data-document=\"/docs/quadrille/openapi.json\""),
        "{page}"
    );
    assert!(
        client
            .get("/docs")
            .await
            .text()
            .contains("href=\"/docs/quadrille\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_interface_is_not_there_without_one_of_its_parts() {
    for part in [(404, "{}"), (200, "[]"), (200, "no json"), (500, "{}")] {
        let gateway = Gateway::before(documents(&[("/openapi.json", part.0, part.1)])).await;
        gateway
            .anonymous()
            .get("/docs/openapi.json")
            .await
            .problem(502, "bad-gateway");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_have_a_page_and_a_document() {
    let gateway = Gateway::before(documents(&[])).await;
    let client = gateway.anonymous();
    let index = client.get("/docs").await.text();
    for path in ["/docs/events", "/docs/events/asyncapi.json"] {
        assert!(index.contains(&format!("href=\"{path}\"")), "{path}");
    }
    let document = client.get("/docs/events/asyncapi.json").await;
    assert_eq!(document.header("content-type"), "application/json");
    let document = document.json();
    assert_eq!(document, contracts::asyncapi::document().unwrap());
    let page = client.get("/docs/events").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'self'")
    );
    let page = page.text();
    assert_eq!(client.get("/docs/events/").await.text(), page);
    assert!(!page.contains("{{") && !page.contains("<script"), "{page}");
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"));
    for topic in contracts::Topic::ALL {
        assert!(page.contains(&format!("<section id=\"{topic}\">")), "{topic}");
        assert!(page.contains(&format!("href=\"#{topic}\"")), "{topic}");
    }
    for words in [
        "<td><code>items[].unit_price.amount_minor</code></td><td>integer (int64)</td><td>yes</td>",
        "<td><code>ce_causationid</code></td><td>string (uuid)</td><td>yes</td>",
        "<td><code>x-error-class</code></td>",
        "payment_failed | customer_request | payment_timeout",
        "The order service writes to order.created, and nobody else. Consumed by: gateway, notification, payment.",
        "&quot;amount_minor&quot;: 4997",
    ] {
        assert!(page.contains(words), "{words}");
    }
}
