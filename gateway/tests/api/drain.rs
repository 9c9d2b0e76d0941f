//! Stops that cost nobody an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use chassis::test::TestService;
use reqwest::StatusCode;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Client, Gateway, Upstream};

const PATIENCE: Duration = Duration::from_secs(30);
const UNLIMITED: [(&str, &str); 2] = [
    ("rate_limit.per_user_per_minute", "10000000"),
    ("rate_limit.per_address_per_minute", "10000000"),
];

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn before_it_stops_it_says_so_and_goes_on_for_a_while() {
    let settings = [("http.drain_delay_ms", "1500")];
    let gateway = Gateway::before(echo()).await;
    let leaving = gateway.sibling(&settings).await;
    let client = Client::new(leaving.url(""), None);
    let before = client.get("/products").await;
    assert_eq!((before.status, before.header("connection")), (StatusCode::OK, ""));
    let (readiness, products) = (
        format!("http://{}/readyz", leaving.management_address()),
        leaving.url("/products"),
    );
    let stopping = tokio::spawn(leaving.stop());

    let deadline = Instant::now() + PATIENCE;
    while reqwest::get(&readiness).await.unwrap().status() != 503 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = reqwest::get(&products).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    assert!(stopping.await.unwrap());
    assert!(reqwest::get(&products).await.is_err());
}

/// Asks one of several gateways, and another when it does not listen any more.
async fn ask(urls: &[String; 2], turn: u32, token: &str) {
    let first = usize::try_from(turn).unwrap() % 2;
    for url in [&urls[first], &urls[1 - first]] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        match client
            .post(format!("{url}/orders"))
            .bearer_auth(token)
            .body("x")
            .send()
            .await
        {
            Ok(answer) => {
                assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
                return;
            }
            Err(error) => assert!(error.is_connect(), "an answer got lost: {error}"),
        }
    }
    panic!("nobody listens");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn a_rolling_restart_under_load_costs_nobody_an_answer() {
    let slow = || {
        behaviour(async |_, _| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            HttpResponse::Ok().body("done")
        })
    };
    let (one, other) = (Upstream::start(slow()), Upstream::start(slow()));
    let upstreams = format!("{},{}", one.url(""), other.url(""));
    let home = Gateway::before(echo()).await;
    let settings: Vec<_> = UNLIMITED
        .into_iter()
        .chain([("upstreams.order", &*upstreams), ("http.drain_delay_ms", "300")])
        .collect();
    let start = async || -> TestService { home.sibling(&settings).await };
    let mut gateways = [start().await, start().await];
    let urls = Arc::new(std::sync::Mutex::new([gateways[0].url(""), gateways[1].url("")]));
    let token = home
        .issuer
        .customer(crate::harness::token::user(crate::harness::token::CUSTOMER))
        .unwrap();

    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (done, asked, urls, token) = (done.clone(), asked.clone(), urls.clone(), token.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let urls = urls.lock().unwrap().clone();
                    ask(&urls, asked.fetch_add(1, Ordering::SeqCst), &token).await;
                }
            })
        })
        .collect();
    for place in [0, 1] {
        let next = start().await;
        let leaving = std::mem::replace(&mut gateways[place], next);
        urls.lock().unwrap()[place] = gateways[place].url("");
        assert!(leaving.stop().await);
    }
    done.store(true, Ordering::SeqCst);
    for asking in load {
        asking.await.unwrap();
    }
    assert!(asked.load(Ordering::SeqCst) > 20);
    let [first, second] = gateways;
    assert!(first.stop().await && second.stop().await);
}

/// A process with this platform's own way to stop stands for the service: a gateway behind the gateway.
#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn a_rolling_restart_of_a_service_under_load_costs_nobody_an_answer() {
    let home = Gateway::before(echo()).await;
    let leases = [stack::ports::lease().unwrap(), stack::ports::lease().unwrap()];
    let ports = [leases[0].port().to_string(), leases[1].port().to_string()];
    let replica = async |place: usize| -> TestService {
        let settings: Vec<_> = UNLIMITED
            .into_iter()
            .chain([("http.port", &*ports[place]), ("http.drain_delay_ms", "600")])
            .collect();
        home.sibling(&settings).await
    };
    let mut replicas = [Some(replica(0).await), Some(replica(1).await)];
    let upstreams = format!("http://127.0.0.1:{},http://127.0.0.1:{}", ports[0], ports[1]);
    let settings: Vec<_> = UNLIMITED
        .into_iter()
        .chain([
            ("upstreams.order", &*upstreams),
            ("proxy.check_interval_ms", "100"),
        ])
        .collect();
    let front = home.sibling(&settings).await;
    let token = home
        .issuer
        .customer(crate::harness::token::user(crate::harness::token::CUSTOMER))
        .unwrap();

    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (done, asked) = (done.clone(), asked.clone());
            let client = Client::new(front.url(""), Some(token.clone()));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    // nothing that could be asked twice
                    let answer = client.post("/orders", "x").await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for place in [0, 1] {
        assert!(replicas[place].take().unwrap().stop().await);
        replicas[place] = Some(replica(place).await);
        // as a deployment waits for the new one to be found well
        let before = asked.load(Ordering::SeqCst);
        let deadline = Instant::now() + PATIENCE;
        while asked.load(Ordering::SeqCst) < before + 200 {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    for asking in load {
        asking.await.unwrap();
    }
}
