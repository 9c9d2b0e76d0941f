//! A logout, and when it counts.

use std::time::{Duration, Instant};

use acceptance::books::count;
use acceptance::{PATIENCE, turn, until};
use serde_json::{Value, json};
use stack::{Service, Stack};
use uuid::Uuid;

use crate::pair::Pair;

/// From the answer to the logout until no gateway lets its tokens in.
const AT_ONCE: Duration = Duration::from_secs(1);
const LOGOUTS: usize = 20;

/// A login.
struct Login {
    access_token: String,
    refresh_token: String,
}

async fn post(url: &str, body: &Value) -> reqwest::Response {
    let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer
}

/// A new account, which it hands over.
async fn register(stack: &Stack) -> Value {
    let email = format!("{}@quadrille.example", Uuid::new_v4().simple());
    let account = json!({"email": email, "password": "an oak, a birch, a yew"});
    post(&format!("{}/auth/register", stack.url()), &account).await;
    account
}

async fn log_in(stack: &Stack, account: &Value) -> Login {
    let answer = post(&format!("{}/auth/login", stack.url()), account).await;
    let tokens: Value = answer.json().await.unwrap();
    let text = |member: &str| tokens[member].as_str().unwrap().to_owned();
    Login {
        access_token: text("access_token"),
        refresh_token: text("refresh_token"),
    }
}

async fn status(gateway: &str, login: &Login) -> u16 {
    let request = reqwest::Client::new().get(format!("{gateway}/orders?limit=1"));
    let answer = request.bearer_auth(&login.access_token).send().await.unwrap();
    answer.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_counts_at_every_gateway_within_a_second_and_after_a_restart_from_the_first_request_on() {
    let _turn = turn().await;
    // given somebody who is logged in, and seen by both gateways
    let mut pair = Pair::start().await;
    let gateways = pair.gateways.map(stack::service::Ports::url);
    let account = register(&pair.stack).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..LOGOUTS {
        let login = log_in(&pair.stack, &account).await;
        for gateway in &gateways {
            assert_eq!(status(gateway, &login).await, 200);
        }
        // when they log out
        let body = json!({"refresh_token": login.refresh_token});
        post(&format!("{}/auth/logout", pair.stack.url()), &body).await;
        // then neither lets them in any more, at once
        let begun = Instant::now();
        for gateway in &gateways {
            while status(gateway, &login).await != 401 {
                assert!(begun.elapsed() < AT_ONCE, "let in after {:?}", begun.elapsed());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        slowest = slowest.max(begun.elapsed());
    }
    println!("the slowest of {LOGOUTS} logouts took {slowest:?}");

    // given a login, and no gateway
    let (login, other) = (
        log_in(&pair.stack, &account).await,
        log_in(&pair.stack, &account).await,
    );
    assert!(pair.stack.stop(Service::Gateway).await);
    // when it is ended, and announced
    let body = json!({"refresh_token": login.refresh_token});
    post(
        &format!("{}/auth/logout", pair.stack.service_url(Service::Auth)),
        &body,
    )
    .await;
    until("the logout to be announced", PATIENCE, async || {
        (count(&pair.stack, Service::Auth, "outbox").await == 0).then_some(())
    })
    .await;
    // then it counts from the first request of each gateway on
    pair.stack.start(Service::Gateway).await.unwrap();
    for gateway in &gateways {
        assert_eq!(status(gateway, &login).await, 401);
        assert_eq!(status(gateway, &other).await, 200);
    }
}
