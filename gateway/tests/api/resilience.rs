//! What the gateway does when a service, or one of its processes, fails.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Answer, Gateway, Upstream};

const PATIENCE: Duration = Duration::from_secs(30);

/// Hangs up on the first `failures` requests after it has read what came, then answers each with the length of its body.
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn moody(failures: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let mut length = 0;
            let body = loop {
                let read = connection.read(&mut request[length..]).await.unwrap();
                length += read;
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
                let declared = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().unwrap());
                if read == 0 || body.len() >= declared && text.contains("\r\n\r\n") {
                    break body.to_owned();
                }
            };
            if counter.fetch_add(1, Ordering::SeqCst) < failures {
                continue;
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_asked_again_and_what_might_is_not() {
    let (url, asked) = moody(2).await;
    let gateway = Gateway::configured(echo(), &[("upstreams.order", &url)]).await;
    assert_eq!(gateway.customer().get("/orders").await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let (url, asked) = moody(1).await;
    let gateway = Gateway::configured(echo(), &[("upstreams.order", &url)]).await;
    let client = gateway.customer();
    client.post("/orders", "abc").await.problem(502, "bad-gateway");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(client.post("/orders", "abc").await.text(), "abc");
    assert_eq!(
        gateway
            .counted("gateway_upstream_retries_total{upstream=\"order\"}")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_idempotency_key_a_body_is_sent_again_from_its_beginning() {
    let (url, asked) = moody(2).await;
    let gateway = Gateway::configured(echo(), &[("upstreams.order", &url)]).await;
    let request = gateway
        .customer()
        .request(Method::POST, "/orders")
        .header("idempotency-key", "k1")
        .body("{\"items\": []}");
    let answer = Answer::of(request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "{\"items\": []}")
    );
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert!(
        gateway
            .metrics()
            .await
            .contains("gateway_upstream_retries_total{upstream=\"order\"} 2")
    );

    // but one that was not kept is not
    let (url, asked) = moody(1).await;
    let settings = [("upstreams.order", &*url), ("proxy.replay_buffer_bytes", "10")];
    let gateway = Gateway::configured(echo(), &settings).await;
    let request = gateway
        .customer()
        .request(Method::POST, "/orders")
        .header("idempotency-key", "k1")
        .body("longer than ten bytes");
    Answer::of(request).await.problem(502, "bad-gateway");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_take_turns_and_a_process_that_is_gone_costs_nobody_an_answer() {
    let (one, other) = (Upstream::start(echo()), Upstream::start(echo()));
    let gone = stack::ports::lease().unwrap();
    let urls = format!(
        "{},http://127.0.0.1:{},{}",
        one.url(""),
        gone.port(),
        other.url("")
    );
    let settings = [
        ("upstreams.order", &*urls),
        ("rate_limit.per_user_per_minute", "1000"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let client = gateway.customer();
    for number in 0..60 {
        // nothing was sent to the one that is gone: even this may be asked again
        let answer = client.post("/orders", format!("{number}")).await;
        assert_eq!(answer.text(), number.to_string());
    }
    let orders = |upstream: &Upstream| {
        let seen = upstream.seen();
        seen.iter().filter(|seen| seen.target == "/orders").count()
    };
    assert_eq!(orders(&one) + orders(&other), 60);
    assert!(orders(&one) >= 20 && orders(&other) >= 20);
    assert!(
        gateway
            .metrics()
            .await
            .contains("gateway_upstream_ejections_total{upstream=\"order\",route_class=\"standard\"} 1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_again_and_again_is_left_alone_until_it_is_back() {
    let gone = stack::ports::lease().unwrap();
    let url = format!("http://127.0.0.1:{}", gone.port());
    let settings = [
        ("upstreams.order", &*url),
        ("proxy.retries_max", "0"),
        ("proxy.breaker_failures", "2"),
        ("proxy.breaker_open_ms", "100"),
        ("proxy.check_interval_ms", "100"),
        ("rate_limit.per_user_per_minute", "10000"),
        ("rate_limit.per_address_per_minute", "10000"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let client = gateway.customer();
    for _ in 0..2 {
        client.get("/orders").await.problem(502, "bad-gateway");
    }
    let refused = client.get("/orders").await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    // the others go on
    assert_eq!(client.get("/payments").await.status, 200);

    let _back = Upstream::listening(StdListener::bind(("127.0.0.1", gone.port())).unwrap(), echo());
    let deadline = Instant::now() + PATIENCE;
    while client.get("/orders").await.status != 200 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_says_farewell_is_not_asked_any_more() {
    let leaving = Upstream::start(behaviour(async |request, _| {
        if request.path() == "/health" {
            HttpResponse::ServiceUnavailable().force_close().body("{}")
        } else {
            HttpResponse::Ok().body("leaving")
        }
    }));
    let staying = Upstream::start(behaviour(async |_, _| HttpResponse::Ok().body("staying")));
    let urls = format!("{},{}", leaving.url(""), staying.url(""));
    let settings = [
        ("upstreams.order", &*urls),
        ("proxy.check_interval_ms", "50"),
        ("rate_limit.per_user_per_minute", "10000"),
        ("rate_limit.per_address_per_minute", "10000"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let client = gateway.customer();
    let deadline = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < 10 {
        assert!(Instant::now() < deadline);
        let answer = client.get("/orders").await.text();
        in_a_row = if answer == "staying" { in_a_row + 1 } else { 0 };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_a_share_of_all_requests() {
    let gone = stack::ports::lease().unwrap();
    let url = format!("http://127.0.0.1:{}", gone.port());
    let settings = [
        ("upstreams.order", &*url),
        ("proxy.breaker_failures", "100000"),
        ("rate_limit.per_user_per_minute", "10000"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let client = gateway.customer();
    for _ in 0..50 {
        client.get("/orders").await.problem(502, "bad-gateway");
    }
    // a reserve of ten, and a fifth of fifty, of which the first found the reserve full
    assert!(
        gateway
            .metrics()
            .await
            .contains("gateway_upstream_retries_total{upstream=\"order\"} 19")
    );
}

/// One chunk, and then nothing for ever.
fn stalling() -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::once(async { Ok(Bytes::from_static(b"x")) }).chain(stream::pending())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_falls_silent_within_its_body_is_told_so() {
    let gateway = Gateway::configured(echo(), &[("proxy.body_idle_timeout_ms", "200")]).await;
    let request = gateway
        .customer()
        .request(Method::POST, "/orders")
        .body(Body::wrap_stream(stalling()));
    Answer::of(request).await.problem(408, "request-timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_falls_silent_within_its_body_is_cut_off() {
    for (content_type, setting) in [
        ("text/plain", "proxy.body_idle_timeout_ms"),
        ("text/event-stream", "proxy.stream_idle_timeout_ms"),
    ] {
        let service = behaviour(move |_, _| async move {
            HttpResponse::Ok()
                .content_type(content_type)
                .streaming(stalling())
        });
        let gateway = Gateway::configured(service, &[(setting, "200")]).await;
        let request = gateway.customer().request(Method::GET, "/orders/1/events");
        let mut body = request.send().await.unwrap().bytes_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "x");
        assert!(body.next().await.unwrap().is_err(), "{content_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_ends_the_connection() {
    let gateway = Gateway::configured(echo(), &[("http.header_timeout_ms", "300")]).await;
    let mut connection = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    connection
        .write_all(b"GET /products HTTP/1.1\r\nhost: a\r\nx-slow: ")
        .await
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(gateway.upstream.seen().is_empty());
}

/// Tells when it is dropped.
struct Left(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for Left {
    fn drop(&mut self) {
        let _nobody_listens = self.0.send(());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let (left, mut leaving) = tokio::sync::mpsc::unbounded_channel();
    let endless = behaviour(move |_, _| {
        let guard = Left(left.clone());
        let chunks = stream::repeat_with(move || {
            let _held = &guard;
            Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 64 * 1024]))
        });
        async { HttpResponse::Ok().streaming(chunks) }
    });
    let gateway = Gateway::configured(endless, &[("http.write_timeout_ms", "500")]).await;
    let mut connection = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    connection
        .write_all(b"GET /products HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    // connected, and silent
    tokio::time::timeout(PATIENCE, leaving.recv()).await.unwrap();
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_an_end_holds_no_connection_once_it_is_refused() {
    let gateway = Gateway::before(echo()).await;
    let bearer = gateway
        .issuer
        .customer(crate::harness::token::user(crate::harness::token::CUSTOMER))
        .unwrap();
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for (head, status) in [
        (format!("authorization: Bearer {bearer}\r\n"), "413"),
        (String::new(), "401"),
    ] {
        let mut connection = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
        let head = format!("POST /orders HTTP/1.1\r\nhost: a\r\n{head}transfer-encoding: chunked\r\n\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = connection.split();
        let mut answer = Vec::new();
        let sending = async {
            // until the other side has had enough
            while writer.write_all(chunk.as_bytes()).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let both = async { tokio::join!(sending, reader.read_to_end(&mut answer)) };
        tokio::time::timeout(PATIENCE, both).await.unwrap().1.ok();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_that_ends_leaves_the_connection_open() {
    let gateway = Gateway::before(echo()).await;
    let mut connection = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
    for _ in 0..3 {
        let request = b"POST /auth/login HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("abc") {
            let mut bytes = [0; 4096];
            let read = connection.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{answer}");
            answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_service_does_not_get_allows_no_repetition() {
    let (url, asked) = moody(1).await;
    let gateway = Gateway::configured(echo(), &[("upstreams.order", &url)]).await;
    let request = gateway
        .customer()
        .request(Method::POST, "/orders")
        .header("idempotency-key", "k1")
        .header("connection", "idempotency-key")
        .body("{}");
    Answer::of(request).await.problem(502, "bad-gateway");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_answers_with_errors_is_asked_after_the_others() {
    let failing = Upstream::start(behaviour(async |_, _| HttpResponse::BadGateway().finish()));
    let well = Upstream::start(echo());
    let urls = format!("{},{}", failing.url(""), well.url(""));
    let settings = [
        ("upstreams.order", &*urls),
        ("proxy.breaker_failures", "3"),
        ("proxy.breaker_open_ms", "60000"),
        ("proxy.check_interval_ms", "0"),
        ("rate_limit.per_user_per_minute", "10000"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let client = gateway.customer();
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(client.get("/orders").await.status == 502);
    }
    assert_eq!(failed, 3);
    let metrics = gateway.metrics().await;
    let ejected = "gateway_upstream_ejections_total{upstream=\"order\",route_class=\"standard\"} 1";
    assert!(metrics.contains(ejected), "{metrics}");
    // a service of which nobody is well is asked all the same: it knows best when that is over
    let urls = failing.url("");
    let settings = [("upstreams.order", &*urls), ("proxy.breaker_failures", "3")];
    let gateway = Gateway::configured(echo(), &settings).await;
    for _ in 0..10 {
        assert_eq!(gateway.customer().get("/orders").await.status, 502);
    }
}

/// Streams events for ever, answers `/orders/slow` when it is told to, and everything else at once.
fn busy(go_on: &Arc<Notify>) -> crate::harness::Behaviour {
    let go_on = go_on.clone();
    behaviour(move |request, _| {
        let go_on = go_on.clone();
        async move {
            match request.path() {
                "/orders/1/events" => {
                    return HttpResponse::Ok()
                        .content_type("text/event-stream")
                        .streaming(stalling());
                }
                "/orders/slow" => go_on.notified().await,
                _ => {}
            }
            HttpResponse::Ok().body("done")
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_take_no_place_from_requests_and_a_full_house_is_not_the_services_fault() {
    let settings = [
        ("proxy.exchanges_per_worker", "1"),
        ("proxy.streams_per_worker", "1"),
        ("proxy.connect_timeout_ms", "200"),
        ("proxy.breaker_failures", "1"),
    ];
    let go_on = Arc::new(Notify::new());
    let gateway = Gateway::configured(busy(&go_on), &settings).await;
    let client = gateway.customer();

    // given as many streams as there may be
    let events = client
        .request(Method::GET, "/orders/1/events")
        .send()
        .await
        .unwrap();
    assert_eq!(events.status(), 200);
    // then requests go on, and another stream does not
    assert_eq!(client.get("/orders").await.text(), "done");
    let refused = client.get("/orders/1/events").await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");

    // given as many requests as there may be
    let slow = client.get("/orders/slow");
    let meanwhile = async {
        let deadline = Instant::now() + PATIENCE;
        while !gateway
            .upstream
            .seen()
            .iter()
            .any(|seen| seen.target == "/orders/slow")
        {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // then another finds no place
        client.get("/orders").await.problem(503, "overloaded");
        go_on.notify_one();
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    assert_eq!(slow.text(), "done");
    // and the service is asked again at once: it was not blamed
    assert_eq!(client.get("/orders").await.text(), "done");
    assert_eq!(gateway.counted("gateway_upstream_ejections_total{").await, 0);
    drop(events);
}

/// A service that does not know the key would do again what it is asked twice: of two secrets the client sees one.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_routes_service_does_not_honour_allows_no_repetition() {
    for (path, service) in [
        (
            "/notifications/webhooks/1/rotate-secret",
            "upstreams.notification",
        ),
        ("/auth/register", "upstreams.auth"),
        ("/payments/webhooks/stripe", "upstreams.payment"),
    ] {
        let (url, asked) = moody(1).await;
        let gateway = Gateway::configured(echo(), &[(service, &url)]).await;
        let request = gateway
            .customer()
            .request(Method::POST, path)
            .header("idempotency-key", "k1")
            .body("{}");
        Answer::of(request).await.problem(502, "bad-gateway");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{path}");
    }
    let (url, asked) = moody(1).await;
    let gateway = Gateway::configured(echo(), &[("upstreams.notification", &url)]).await;
    let request = gateway
        .customer()
        .request(Method::POST, "/notifications/webhooks")
        .header("idempotency-key", "k1")
        .body("{}");
    assert_eq!(Answer::of(request).await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
