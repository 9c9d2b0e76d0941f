//! Bodies flow: nothing waits for a whole one.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use crate::harness::upstream::{behaviour, echo, read};
use crate::harness::{Answer, Gateway};

/// Longer than the gateway's client collects before it sends.
const CHUNK: usize = 16 * 1024;

/// Sends bytes as they stand and reads the answer to the end of the connection.
pub(crate) async fn raw(gateway: &Gateway, request: &str) -> String {
    let mut connection = TcpStream::connect(gateway.address()).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_the_client_while_the_service_still_writes_it() {
    let go_on = Arc::new(Notify::new());
    let gate = go_on.clone();
    let gateway = Gateway::before(behaviour(move |_, _| {
        let gate = gate.clone();
        let rest = stream::once(async move {
            gate.notified().await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"second"))
        });
        let body = stream::once(async { Ok(Bytes::from_static(b"first ")) }).chain(rest);
        async { HttpResponse::Ok().streaming(body) }
    }))
    .await;
    let response = gateway
        .customer()
        .request(Method::GET, "/orders")
        .send()
        .await
        .unwrap();
    let mut body = response.bytes_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "first ");
    // only now may the service go on
    go_on.notify_one();
    assert_eq!(body.next().await.unwrap().unwrap(), "second");
    assert!(body.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_service_while_the_client_still_writes_it() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let gateway = Gateway::before(behaviour(move |_, mut payload| {
        let arrived = arrived.clone();
        async move {
            let mut total = 0;
            while let Some(chunk) = payload.next().await {
                total += chunk.unwrap().len();
                arrived.send(total).unwrap();
            }
            HttpResponse::Ok().body(total.to_string())
        }
    }))
    .await;
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Bytes, std::io::Error>>();
    let body = Body::wrap_stream(stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    }));
    let request = gateway.customer().request(Method::POST, "/orders").body(body);
    let answer = tokio::join!(Answer::of(request), async {
        sender.send(Ok(Bytes::from(vec![b'x'; CHUNK]))).unwrap();
        while arrivals.recv().await.unwrap() < CHUNK / 2 {}
        // the service has the beginning; only now does the client go on
        sender.send(Ok(Bytes::from(vec![b'x'; CHUNK]))).unwrap();
        drop(sender);
    })
    .0;
    assert_eq!(answer.text(), (2 * CHUNK).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_grows_over_the_limit_is_stopped_while_it_flows() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let gateway = Gateway::before(behaviour(move |_, payload| {
        let ended = ended.clone();
        async move {
            ended.send(read(payload).await.len()).unwrap();
            HttpResponse::Ok().finish()
        }
    }))
    .await;
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; CHUNK])));
    let request = gateway
        .customer()
        .request(Method::POST, "/orders")
        .body(Body::wrap_stream(endless));
    // the client may see the answer, or the end of a connection that it goes on writing to
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), 413);
    }
    let received = ends.recv().await.unwrap();
    assert!(received <= 256 * 1024, "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_outlive_the_deadline_of_other_answers() {
    let gateway = Gateway::configured(
        behaviour(async |request, _| match request.path() {
            "/orders/1/events" => paced("text/event-stream; charset=utf-8"),
            _ => paced("application/json"),
        }),
        &[("proxy.total_timeout_ms", "250")],
    )
    .await;
    let events = gateway.customer().get("/orders/1/events").await;
    assert_eq!(events.text().matches("data: tick").count(), 6);
    let cut = gateway
        .customer()
        .request(Method::GET, "/orders")
        .send()
        .await
        .unwrap();
    assert_eq!(cut.status(), 200);
    assert!(
        cut.bytes().await.is_err(),
        "a body that is cut off must not look whole"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_end_when_the_gateway_stops() {
    let gateway = Gateway::before(behaviour(async |_, _| {
        let open = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"data: hello\n\n")) });
        HttpResponse::Ok()
            .content_type("text/event-stream")
            .streaming(open.chain(stream::pending()))
    }))
    .await;
    let response = gateway
        .customer()
        .request(Method::GET, "/orders/1/events")
        .send()
        .await
        .unwrap();
    let mut events = response.bytes_stream();
    assert_eq!(events.next().await.unwrap().unwrap(), "data: hello\n\n");
    let (stopped, end) = tokio::join!(gateway.stop(), events.next());
    assert!(stopped);
    assert!(end.is_none(), "it ends in good order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_services_work() {
    struct Left(mpsc::UnboundedSender<()>);
    impl Drop for Left {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (left, mut leaving) = mpsc::unbounded_channel();
    // it says one thing, and then nothing that would find out whether anybody is there
    let gateway = Gateway::before(behaviour(move |_, _| {
        let guard = Left(left.clone());
        let silent = ticks_every(Duration::from_millis(1))
            .take(1)
            .chain(futures::stream::pending())
            .map(move |tick| {
                let _held = &guard;
                tick
            });
        async {
            HttpResponse::Ok()
                .content_type("text/event-stream")
                .streaming(silent)
        }
    }))
    .await;
    let response = gateway
        .customer()
        .request(Method::GET, "/orders/1/events")
        .send()
        .await
        .unwrap();
    let mut events = response.bytes_stream();
    events.next().await.unwrap().unwrap();
    let left_at = std::time::Instant::now();
    drop(events);
    tokio::time::timeout(Duration::from_secs(10), leaving.recv())
        .await
        .unwrap();
    let (took, soon) = (left_at.elapsed(), Duration::from_secs(1));
    // a busy machine may be late
    assert!(took < soon * 3, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broken = format!("http://{}", listener.local_addr().unwrap());
    let serving = async {
        for head in [
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "content-length: 10\r\n\r\nhello",
        ] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert_ne!(connection.read(&mut request).await.unwrap(), 0);
            connection
                .write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes())
                .await
                .unwrap();
            connection.shutdown().await.unwrap();
        }
    };
    let gateway = Gateway::configured(echo(), &[("upstreams.order", &broken)]).await;
    let client = gateway.customer();
    let asking = async {
        for _ in 0..2 {
            // it breaks off before its head has left, or after: never does it end in good order
            let whole = async { client.request(Method::GET, "/orders").send().await?.bytes().await };
            assert!(whole.await.is_err());
        }
    };
    tokio::join!(serving, asking);
}

fn ticks_every(pace: Duration) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold(tokio::time::interval(pace), async |mut ticks| {
        ticks.tick().await;
        Some((Ok(Bytes::from_static(b"data: tick\n\n")), ticks))
    })
}

fn paced(content_type: &'static str) -> HttpResponse {
    let ticks = ticks_every(Duration::from_millis(100)).take(6);
    HttpResponse::Ok().content_type(content_type).streaming(ticks)
}
