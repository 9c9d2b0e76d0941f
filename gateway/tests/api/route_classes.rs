//! What slow or refused requests of one class of routes do to those of the others: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use reqwest::Method;
use tokio::sync::Notify;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Behaviour, Client, Gateway, Upstream};

const PATIENCE: Duration = Duration::from_secs(30);

const UNLIMITED: [(&str, &str); 3] = [
    ("rate_limit.per_user_per_minute", "10000"),
    ("rate_limit.per_address_per_minute", "10000"),
    ("rate_limit.login_per_minute", "10000"),
];

/// Requests of other classes, to the same service and to others.
const OTHERS: [(Method, &str); 5] = [
    (Method::POST, "/auth/refresh"),
    (Method::GET, "/.well-known/jwks.json"),
    (Method::GET, "/auth/me"),
    (Method::GET, "/auth/dead-letters"),
    (Method::GET, "/orders"),
];

async fn others_are_answered(client: &Client) {
    for (method, path) in OTHERS {
        let answer = client.request(method, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

/// Does not answer requests with a password while `stuck`, and everything else at once.
fn sticking(stuck: &Arc<AtomicBool>) -> Behaviour {
    let stuck = stuck.clone();
    behaviour(move |request, _| {
        let sticks = stuck.load(Ordering::SeqCst) && is_with_password(request.path());
        async move {
            if sticks {
                std::future::pending::<()>().await;
            }
            HttpResponse::Ok().body("done")
        }
    })
}

/// Refuses requests with a password while `full`, as auth does when too many wait, and answers everything else.
fn shedding(full: &Arc<AtomicBool>) -> Behaviour {
    let full = full.clone();
    behaviour(move |request, _| {
        let sheds = full.load(Ordering::SeqCst) && is_with_password(request.path());
        async move {
            if sheds {
                HttpResponse::ServiceUnavailable()
                    .insert_header(("retry-after", "2"))
                    .body("shed")
            } else {
                HttpResponse::Ok().body("done")
            }
        }
    })
}

fn is_with_password(path: &str) -> bool {
    matches!(path, "/auth/login" | "/auth/register" | "/auth/password")
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_logins_open_the_breaker_of_logins_alone_and_it_closes_when_they_are_well() {
    let stuck = Arc::new(AtomicBool::new(true));
    let settings = [
        ("proxy.response_timeout_ms", "100"),
        ("proxy.breaker_failures", "3"),
        ("proxy.breaker_open_ms", "100"),
        ("proxy.breaker_open_max_ms", "300"),
        ("proxy.check_interval_ms", "20"),
    ];
    let settings: Vec<_> = settings.into_iter().chain(UNLIMITED).collect();
    let gateway = Gateway::configured(sticking(&stuck), &settings).await;
    let client = gateway.customer();
    for _ in 0..3 {
        client
            .post("/auth/login", "{}")
            .await
            .problem(504, "gateway-timeout");
        others_are_answered(&client).await;
    }
    // it is open: what needs a password is refused at once, and nothing else is
    let refused = client.post("/auth/register", "{}").await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    for _ in 0..20 {
        let login = client.post("/auth/login", "{}").await;
        assert!(matches!(login.status.as_u16(), 503 | 504), "{}", login.status);
        others_are_answered(&client).await;
    }
    let opened = async |class: &str| {
        let series = format!("gateway_upstream_ejections_total{{upstream=\"auth\",route_class=\"{class}\"}}");
        gateway.counted(&series).await
    };
    assert!(opened("password").await > 0);
    assert_eq!((opened("standard").await, opened("operations").await), (0, 0));

    stuck.store(false, Ordering::SeqCst);
    let deadline = Instant::now() + PATIENCE;
    while client.post("/auth/login", "{}").await.status != 200 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_the_service_sheds_open_no_breaker() {
    let full = Arc::new(AtomicBool::new(true));
    let settings: Vec<_> = [
        ("proxy.breaker_failures", "3"),
        ("proxy.breaker_open_ms", "60000"),
    ]
    .into_iter()
    .chain(UNLIMITED)
    .collect();
    let gateway = Gateway::configured(shedding(&full), &settings).await;
    let client = gateway.customer();
    for _ in 0..20 {
        let login = client.post("/auth/login", "{}").await;
        // the service's own answer, with its own word on when to come back
        assert_eq!(
            (login.status.as_u16(), login.header("retry-after"), login.text()),
            (503, "2", "shed".to_owned())
        );
        others_are_answered(&client).await;
    }
    full.store(false, Ordering::SeqCst);
    assert_eq!(client.post("/auth/login", "{}").await.status, 200);
    assert_eq!(gateway.counted("gateway_upstream_ejections_total{").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_sheds_logins_is_passed_over_for_logins_alone() {
    let full = Upstream::start(shedding(&Arc::new(AtomicBool::new(true))));
    let well = Upstream::start(echo());
    let urls = format!("{},{}", full.url(""), well.url(""));
    let settings = [
        ("upstreams.auth", &*urls),
        ("proxy.breaker_failures", "3"),
        ("proxy.breaker_open_ms", "60000"),
        ("proxy.check_interval_ms", "0"),
    ];
    let settings: Vec<_> = settings.into_iter().chain(UNLIMITED).collect();
    let gateway = Gateway::configured(echo(), &settings).await;
    let client = gateway.customer();
    let mut shed = 0;
    for _ in 0..20 {
        shed += u32::from(client.post("/auth/login", "{}").await.status == 503);
        assert_eq!(client.post("/auth/refresh", "{}").await.status, 200);
    }
    assert_eq!(shed, 3);
    let refreshed = |upstream: &Upstream| {
        let seen = upstream.seen();
        seen.iter().filter(|seen| seen.target == "/auth/refresh").count()
    };
    assert_eq!((refreshed(&full), refreshed(&well)), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_logins_take_no_place_from_others() {
    let settings = [
        ("proxy.exchanges_per_worker", "1"),
        ("proxy.connect_timeout_ms", "200"),
    ];
    let settings: Vec<_> = settings.into_iter().chain(UNLIMITED).collect();
    let go_on = Arc::new(Notify::new());
    let finish = go_on.clone();
    let waiting = behaviour(move |request, _| {
        let finish = finish.clone();
        async move {
            if is_with_password(request.path()) {
                finish.notified().await;
            }
            HttpResponse::Ok().body("done")
        }
    });
    let gateway = Gateway::configured(waiting, &settings).await;
    let client = gateway.customer();
    let slow = client.post("/auth/login", "{}");
    let meanwhile = async {
        let deadline = Instant::now() + PATIENCE;
        while gateway.upstream.seen().is_empty() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        client.post("/auth/login", "{}").await.problem(503, "overloaded");
        others_are_answered(&client).await;
        go_on.notify_one();
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    assert_eq!(slow.text(), "done");
}
