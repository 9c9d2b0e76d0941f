//! What happens when one of the sides fails or takes too long.

use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Method};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Answer, Gateway};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_a_bad_gateway() {
    // given a port that nobody has
    let gone = stack::ports::lease().unwrap();
    let url = format!("http://127.0.0.1:{}", gone.port());
    let gateway = Gateway::configured(echo(), &[("upstreams.payment", &url)]).await;
    let answer = gateway.customer().get("/payments").await;
    let problem = answer.problem(502, "bad-gateway");
    assert_eq!(
        problem.get("detail"),
        None,
        "a server error shows no cause: {problem}"
    );
    // the others are not touched by it
    assert_eq!(gateway.customer().get("/orders").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_up_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Gateway::configured(echo(), &[("upstreams.order", &url)]).await;
    let hanging_up = async {
        // a GET is asked again twice
        for _ in 0..3 {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert_ne!(connection.read(&mut request).await.unwrap(), 0);
        }
    };
    let client = gateway.customer();
    let ((), answer) = tokio::join!(hanging_up, client.get("/orders"));
    answer.problem(502, "bad-gateway");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_answer_is_a_timeout() {
    let silent = behaviour(async |_, _| std::future::pending::<HttpResponse>().await);
    let gateway = Gateway::configured(silent, &[("proxy.response_timeout_ms", "200")]).await;
    let begun = Instant::now();
    gateway
        .customer()
        .get("/orders")
        .await
        .problem(504, "gateway-timeout");
    gateway
        .customer()
        .post("/orders", "{}")
        .await
        .problem(504, "gateway-timeout");
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_no_connection_is_a_timeout() {
    // given a listener whose queue is full: the next connection waits for ever
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(connection)) = tokio::time::timeout(
        Duration::from_millis(300),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        queue.push(connection);
    }
    let settings = [
        ("upstreams.order", &*format!("http://{address}")),
        ("proxy.connect_timeout_ms", "200"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    gateway
        .customer()
        .get("/orders")
        .await
        .problem(504, "gateway-timeout");
}

fn slow_body(chunks: usize, pace: Duration) -> Body {
    let ticks = stream::unfold(
        (tokio::time::interval(pace), chunks),
        async |(mut ticks, left)| {
            let left = left.checked_sub(1)?;
            ticks.tick().await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), (ticks, left)))
        },
    );
    Body::wrap_stream(ticks.boxed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_does_not_use_up_the_services_time() {
    let gateway = Gateway::configured(echo(), &[("proxy.response_timeout_ms", "200")]).await;
    let request = gateway
        .customer()
        .request(Method::POST, "/orders")
        .body(slow_body(6, Duration::from_millis(100)));
    let answer = Answer::of(request).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "xxxxxx"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_ends_is_told_so() {
    let settings = [
        ("proxy.response_timeout_ms", "100"),
        ("proxy.total_timeout_ms", "400"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let request = gateway
        .customer()
        .request(Method::POST, "/orders")
        .body(slow_body(1_000, Duration::from_millis(50)));
    let answer = Answer::of(request).await;
    answer.problem(408, "request-timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_falls_silent_and_never_ends_is_cut_off_at_the_deadline() {
    let endless = |kind: &'static str| {
        behaviour(move |_, _| async move {
            let pieces = stream::unfold((), async |()| {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
            });
            HttpResponse::Ok()
                .content_type(kind)
                .streaming(pieces.boxed_local())
        })
    };
    let settings = [("proxy.total_timeout_ms", "500")];
    let gateway = Gateway::configured(endless("text/plain"), &settings).await;
    let begun = Instant::now();
    let answer = gateway.customer().request(Method::GET, "/orders").send().await;
    let body = tokio::time::timeout(Duration::from_secs(20), answer.unwrap().bytes()).await;
    assert!(body.expect("it went on").is_err(), "it looks whole");
    assert!(begun.elapsed() >= Duration::from_millis(450));

    // an event stream may go on
    let gateway = Gateway::configured(endless("text/event-stream"), &settings).await;
    let answer = gateway.customer().request(Method::GET, "/orders").send().await;
    let mut events = answer.unwrap().bytes_stream();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_200) {
        events.next().await.unwrap().unwrap();
    }
}
