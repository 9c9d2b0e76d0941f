//! What every service of the platform answers.

use reqwest::Method;

use crate::harness::Auth;

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let auth = Auth::start().await;
    auth.get("/nothing", None).await.is_problem(404, "not-found");
    let wrong = auth.get("/auth/login", None).await;
    wrong.is_problem(405, "method-not-allowed");
    assert_eq!(wrong.headers["allow"], "POST, OPTIONS");
    let wrong = auth
        .send(
            Method::DELETE,
            "/auth/users/01990000-0000-7000-8000-000000000001",
            None,
            None,
        )
        .await;
    wrong.is_problem(405, "method-not-allowed");
    assert_eq!(wrong.headers["allow"], "PATCH, OPTIONS");
}

#[tokio::test]
async fn the_interface_is_documented() {
    let auth = Auth::start().await;
    let document = auth.get("/openapi.json", None).await;
    for path in [
        "/auth/register",
        "/auth/login",
        "/auth/refresh",
        "/auth/logout",
        "/auth/logout-all",
        "/auth/me",
        "/auth/password",
        "/auth/sessions",
        "/auth/sessions/{id}",
        "/auth/users",
    ] {
        assert!(document.body["paths"][path].is_object(), "{path}");
    }
    assert!(document.body["components"]["securitySchemes"]["bearer"].is_object());
    let page = auth.get("/docs/", None).await;
    assert_eq!(page.status, 200);
    assert_eq!(
        auth.get("/docs", None).await.status,
        200,
        "redirected to the page"
    );
}

#[tokio::test]
async fn health_names_what_is_down() {
    let auth = Auth::start().await;
    let health = auth.get("/health", None).await;
    assert_eq!(health.status, 503);
    let told = &health.body;
    assert_eq!(
        (&told["database"], &told["broker"]),
        (&"ok".into(), &"down".into())
    );
    assert_eq!(told["accepts_requests"], true);
    assert_eq!(told["reasons"], serde_json::json!(["broker: does not answer"]));
    assert_eq!(told["relay"]["status"], "ok");
}

#[tokio::test]
async fn the_management_port_answers_and_the_service_port_does_not() {
    let auth = Auth::start().await;
    let management = auth.service.management_address();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    auth.get("/auth/me", None).await;
    let get = async |path: &str| {
        client
            .get(format!("http://{management}{path}"))
            .send()
            .await
            .unwrap()
    };
    assert_eq!(get("/livez").await.status(), 200);
    assert_eq!(
        get("/readyz").await.status(),
        200,
        "the broker is no reason to send requests elsewhere"
    );
    let metrics = get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains(r#"http_route="/auth/me",http_response_status_code="401""#),
        "{metrics}"
    );
    assert!(metrics.contains("password_hashes"), "{metrics}");
    assert!(metrics.contains("messaging_"), "{metrics}");
    for path in ["/livez", "/readyz", "/metrics"] {
        auth.get(path, None).await.is_problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_trace_that_comes_in_goes_on() {
    let auth = Auth::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(auth.service.url("/auth/me")).header(
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    let body: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(body["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn it_stops_in_good_order() {
    let auth = Auth::start().await;
    assert!(auth.service.stop().await, "everything ended in time");
}
