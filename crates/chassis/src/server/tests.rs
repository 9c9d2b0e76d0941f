use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::auth::KeySource;
use crate::health::Probe;
use crate::json::Json;
use crate::settings::Layers;

#[derive(serde::Deserialize, garde::Validate, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Body {
    #[garde(skip)]
    text: String,
}

async fn echo(Json(body): Json<Body>) -> HttpResponse {
    HttpResponse::Ok().body(body.text)
}

async fn panics() -> HttpResponse {
    panic!("a bug")
}

async fn by_id(id: web::Path<uuid::Uuid>) -> HttpResponse {
    HttpResponse::Ok().body(id.to_string())
}

/// Goes on, a piece every now and then.
async fn endless(kind: &'static str) -> HttpResponse {
    let pieces = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, Error>(web::Bytes::from_static(b"tick")), ()))
    });
    HttpResponse::Ok().content_type(kind).streaming(pieces)
}

async fn huge() -> HttpResponse {
    HttpResponse::Ok().body(vec![b'x'; 64 * 1024 * 1024])
}

/// Who signs tokens is not known at once, and then nobody does.
fn slow_keys() -> KeySource {
    KeySource::new(std::sync::Arc::new(|| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(jsonwebtoken::jwk::JwkSet { keys: Vec::new() })
        })
    }))
}

async fn of_admins(_: crate::auth::AdminPrincipal, Json(body): Json<Body>) -> HttpResponse {
    HttpResponse::Ok().body(body.text)
}

fn surface() -> Surface {
    let app = App::new(|config| {
        config
            .route("/panic", web::get().to(panics))
            .route("/endless", web::get().to(|| endless("text/plain")))
            .route("/events", web::get().to(|| endless("text/event-stream")))
            .route("/huge", web::get().to(huge))
            .route("/admins", web::put().to(of_admins))
            .service(web::resource("/things").route(web::post().to(echo)))
            .route("/things/{id}", web::get().to(by_id));
    });
    let environment = [("QUADRILLE__DATABASE__URL".to_owned(), "x".to_owned())];
    let core = Layers::new("", None, environment).unwrap().core().unwrap();
    let openapi = serde_json::from_value(serde_json::json!({
        "openapi": "3.1.0", "info": {"title": "things", "version": "1"},
        "paths": {"/things": {"post": {"responses": {}}}, "/things/{id}": {"get": {"responses": {}}}},
    }));
    let openapi: utoipa::openapi::OpenApi = openapi.unwrap();
    Surface {
        allowed: AllowedMethods::of(&openapi),
        openapi: openapi.to_json().unwrap().into(),
        health: Health::new(
            Probe::new("database", || std::future::ready(true)),
            &[],
            CancellationToken::new(),
        ),
        metrics: Metrics::new(),
        verifier: TokenVerifier::new(&core.token, slow_keys()),
        cursor_key: CursorKey::new(&core.http.cursor_secret),
        app,
    }
}

/// Runs `clients` against a server of their own.
pub(super) async fn serving<T>(
    change: impl FnOnce(&mut HttpSettings),
    clients: impl AsyncFnOnce(std::net::SocketAddr) -> T,
) -> T {
    let environment = [("QUADRILLE__DATABASE__URL".to_owned(), "x".to_owned())];
    let mut settings = Layers::new("", None, environment).unwrap().core().unwrap().http;
    settings.workers = 1;
    settings.body_limit_bytes = 1_000;
    change(&mut settings);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = serve(listener, &settings, None, surface()).unwrap();
    let handle = server.handle();
    let exchange = async {
        let outcome = clients(address).await;
        handle.stop(false).await;
        outcome
    };
    tokio::join!(exchange, server).0
}

/// Sends a request to a server of its own and reads the answer as status and problem.
async fn answer(request: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    serving(
        |_| {},
        async |address| {
            let response = request(&client, format!("http://{address}"))
                .send()
                .await
                .unwrap();
            let status = response.status().as_u16();
            let is_problem = response
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind == "application/problem+json");
            let text = response.text().await.unwrap();
            let body = if is_problem {
                serde_json::from_str(&text).unwrap()
            } else {
                Value::String(text)
            };
            (status, body)
        },
    )
    .await
}

async fn code(request: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder) -> (u16, String) {
    let (status, body) = answer(request).await;
    let kind = body["type"]
        .as_str()
        .unwrap_or_else(|| panic!("no problem: {status} {body}"));
    (status, kind.rsplit_once('/').unwrap().1.to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_goes_on() {
    assert_eq!(
        code(|client, base| client.get(base + "/panic")).await,
        is(500, "internal")
    );
}

#[tokio::test]
async fn what_is_not_routed_is_404_and_another_method_405() {
    assert_eq!(
        code(|client, base| client.get(base + "/nothing")).await,
        is(404, "not-found")
    );
    assert_eq!(
        code(|client, base| client.get(base + "/things")).await,
        is(405, "method-not-allowed")
    );
    assert_eq!(
        code(|client, base| client.post(base + "/panic")).await,
        is(405, "method-not-allowed")
    );
}

#[test]
fn an_error_without_a_body_becomes_a_problem_and_keeps_its_headers() {
    let request = actix_web::test::TestRequest::default().to_srv_request();
    let refused = HttpResponse::TooManyRequests()
        .insert_header(("retry-after", "7"))
        .finish();
    let told = as_problem(request.into_response(refused));
    assert_eq!(told.status(), 429);
    let header = |name| told.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(header("retry-after"), "7");
    assert_eq!(header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn an_id_that_is_none_names_nothing() {
    assert_eq!(
        code(|client, base| client.get(base + "/things/1")).await,
        is(404, "not-found")
    );
}

#[tokio::test]
async fn bodies_are_bounded_declared_and_strict() {
    let post = |content_type: &'static str, body: String| {
        code(move |client, base| {
            client
                .post(base + "/things")
                .header("content-type", content_type)
                .body(body)
        })
    };
    let json = "application/json";
    assert_eq!(post(json, "x".repeat(1_001)).await, is(413, "payload-too-large"));
    assert_eq!(
        post("text/plain", "{}".to_owned()).await,
        is(415, "unsupported-media-type")
    );
    assert_eq!(post(json, "{".to_owned()).await, is(400, "malformed-json"));
    assert_eq!(
        post(json, r#"{"text": "", "more": 1}"#.to_owned()).await,
        is(422, "validation")
    );
}

#[tokio::test]
async fn health_is_served() {
    let (status, body) = answer(|client, base| client.get(base + "/health")).await;
    assert_eq!(
        (status, body),
        (
            200,
            Value::String(
                r#"{"status":"ok","accepts_requests":true,"reasons":[],"database":"ok"}"#.to_owned()
            )
        )
    );
}

/// Sends two requests on one connection; the answers as they came, up to the second's end.
async fn twice(address: std::net::SocketAddr, offer: &str) -> Vec<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut answers = Vec::new();
    for number in 0..2 {
        let body = format!("{{\"text\":\"number {number}\"}}");
        let head = format!(
            "POST /things HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{offer}\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with(&format!("number {number}")) {
            let mut piece = [0; 1_000];
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "closed after {answers:?} {answer}");
            answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        answers.push(answer);
    }
    answers
}

#[actix_web::test]
async fn an_upgrade_that_is_not_taken_is_ignored_and_the_connection_goes_on() {
    for offer in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
        "Connection: keep-alive, upgrade\r\nUpgrade: TLS/1.2, foo/2\r\n",
        "Connection: keep-alive\r\n",
    ] {
        for answer in serving(|_| {}, async |address| twice(address, offer).await).await {
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            let hop_by_hop = ["connection:", "upgrade:", "http2-settings:", "keep-alive:"];
            let reflected = hop_by_hop
                .iter()
                .any(|name| answer.contains(&format!("\r\n{name}")));
            assert!(!reflected, "{answer}");
        }
    }
}

#[actix_web::test]
async fn head_is_get_without_a_body_and_options_and_405_say_once_what_is_allowed() {
    serving(
        |_| {},
        async |address| {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let ask = async |method: reqwest::Method, path: &str| {
                let request = client.request(method, format!("http://{address}{path}"));
                request.send().await.unwrap()
            };
            let (get, head) = (reqwest::Method::GET, reqwest::Method::HEAD);
            let path = format!("/things/{}", uuid::Uuid::from_u128(1));
            let (whole, without) = (ask(get, &path).await, ask(head.clone(), &path).await);
            assert_eq!(
                (whole.status(), without.status()),
                (whole.status(), whole.status())
            );
            assert_eq!(
                whole.headers()["content-length"],
                without.headers()["content-length"]
            );
            assert_eq!(without.text().await.unwrap(), "");
            // a stream has a head as well, and ends before it begins
            let stream = ask(head.clone(), "/events").await;
            assert_eq!(stream.headers()["content-type"], "text/event-stream");
            assert_eq!(stream.text().await.unwrap(), "");
            for (method, path, status, allowed) in [
                (head, "/things", 405, "POST, OPTIONS"),
                (reqwest::Method::PUT, "/things", 405, "POST, OPTIONS"),
                (reqwest::Method::DELETE, &*path, 405, "GET, HEAD, OPTIONS"),
                (reqwest::Method::OPTIONS, "/things", 204, "POST, OPTIONS"),
                (reqwest::Method::OPTIONS, &*path, 204, "GET, HEAD, OPTIONS"),
            ] {
                let answer = ask(method.clone(), path).await;
                assert_eq!(answer.status(), status, "{method} {path}");
                let told: Vec<_> = answer.headers().get_all("allow").iter().collect();
                assert_eq!(told, [allowed], "{method} {path}");
            }
            assert_eq!(ask(reqwest::Method::OPTIONS, "/nothing").await.status(), 404);
        },
    )
    .await;
}

/// Whoever may not is not told what is wrong with their request, however long it takes to know that they may not.
#[tokio::test]
async fn who_may_not_is_refused_before_their_body_is_judged() {
    use base64::Engine;
    let head = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"somebodys"}"#;
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let token = format!("{}.{}.{}", part(head), part("{}"), part("signature"));
    let refused = code(move |client, base| {
        let request = client.put(base + "/admins").bearer_auth(token);
        request.header("content-type", "application/json").body("{}")
    })
    .await;
    // nobody can be judged without keys
    assert_eq!(refused, is(503, "unavailable"));
}
