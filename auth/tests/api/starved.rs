//! Requests with a password where nobody can hash, and everybody else meanwhile.

use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection;
use serde_json::json;

use crate::harness::{Answer, Auth, PASSWORD, until};

/// How long a request with a password may take here.
const BOUND: Duration = Duration::from_secs(2);
/// What a busy machine may take longer for it.
const SLACK: Duration = Duration::from_secs(2);

/// One thread that hashes, and so slowly that a hash is never done in time.
const STARVED: [(&str, &str); 7] = [
    ("password.threads", "1"),
    ("password.queue_max", "30"),
    ("password.iterations", "1000"),
    ("password.wait_ms", "60000"),
    ("password.answer_ms", "2000"),
    ("throttle.account_free", "1000"),
    ("throttle.address_free", "1000"),
];

/// A service with a customer, and the same starved, on the same database.
async fn starved() -> (Auth, Answer) {
    let auth = Auth::start().await;
    let customer = auth.customer("ada@example.org").await;
    (auth.with(&STARVED).await, customer)
}

async fn timed(answer: impl Future<Output = Answer>) -> (Answer, Duration) {
    let begun = Instant::now();
    (answer.await, begun.elapsed())
}

#[track_caller]
fn is_refused_in_time((answer, took): &(Answer, Duration)) {
    answer.is_problem(503, "overloaded");
    assert_eq!(answer.headers["retry-after"], "2");
    assert!(*took < BOUND + SLACK, "{took:?}");
}

/// Also what stands in the queue: the time is that of the whole request. The stored hash is one that takes no time; what is
/// hashed anew, by the parameters of today, takes all.
#[tokio::test]
async fn every_request_with_a_password_is_answered_in_time_and_takes_nobody_along() {
    let (auth, customer) = starved().await;
    let token = customer.text("access_token");
    let change = json!({"current_password": PASSWORD, "new_password": "an oak, a birch, a yew"});
    let logins = futures::future::join_all((0..20).map(|_| timed(auth.login("ada@example.org"))));
    let registration = timed(auth.register("eve@example.org"));
    let changed = timed(auth.put("/auth/password", &token, &change));
    // as long as they are under way, everybody else is answered
    let meanwhile = async {
        let mut refresh_token = customer.text("refresh_token");
        until("the thread is taken", async || {
            auth.metric("password_hashes").await > 10
        })
        .await;
        let mut rounds = 0;
        while auth.metric("password_hashes").await > 10 {
            let (refreshed, took) = timed(auth.refresh(&refresh_token)).await;
            assert_eq!(refreshed.status, 200, "{refreshed:?}");
            assert!(took < Duration::from_secs(1), "{took:?}");
            refresh_token = refreshed.text("refresh_token");
            for (path, token) in [("/auth/me", Some(&*token)), ("/.well-known/jwks.json", None)] {
                let (answer, took) = timed(auth.get(path, token)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(took < Duration::from_secs(1), "{path}: {took:?}");
            }
            rounds += 1;
        }
        rounds
    };
    let (logins, registration, changed, rounds) = tokio::join!(logins, registration, changed, meanwhile);
    assert!(rounds > 0);
    for answer in logins.iter().chain([&registration, &changed]) {
        is_refused_in_time(answer);
    }
    // nobody looked at a password, so nobody's guess is counted
    until("all attempts are withdrawn", async || {
        auth.count("select count(*) from login_throttle").await == 0
    })
    .await;
    assert_eq!(auth.count("select count(*) from users").await, 1);
}

/// A lock that somebody keeps: more logins wait for it than there are connections, and others find some all the same.
#[tokio::test]
async fn a_database_that_holds_up_logins_holds_them_up_no_longer_and_nobody_else() {
    let auth = Auth::start_with(&[("password.answer_ms", "2000"), ("throttle.account_free", "1000")]).await;
    let customer = auth.customer("ada@example.org").await;
    let mut other = auth.connection().await;
    other
        .batch_execute("begin; lock table login_throttle in access exclusive mode")
        .await
        .unwrap();
    let logins = futures::future::join_all((0..30).map(|_| timed(auth.login("ada@example.org"))));
    let meanwhile = async {
        until("logins wait", async || auth.metric("password_hashes").await > 20).await;
        let mut rounds = 0;
        while auth.metric("password_hashes").await > 20 {
            let (me, took) = timed(auth.get("/auth/me", Some(&customer.text("access_token")))).await;
            assert_eq!(me.status, 200, "{me:?}");
            assert!(took < Duration::from_secs(1), "{took:?}");
            rounds += 1;
        }
        rounds
    };
    let (logins, rounds) = tokio::join!(logins, meanwhile);
    assert!(rounds > 0);
    for login in &logins {
        is_refused_in_time(login);
        assert!(login.1 >= BOUND, "{:?}", login.1);
    }
    other.batch_execute("rollback").await.unwrap();
    assert_eq!(auth.login("ada@example.org").await.status, 200);
}

/// Hung up while it waits for the thread.
#[tokio::test]
async fn a_request_that_is_dropped_frees_its_place() {
    let auth = Auth::start().await;
    auth.customer("ada@example.org").await;
    let settings: Vec<_> = STARVED
        .into_iter()
        .chain([("password.answer_ms", "60000"), ("password.iterations", "1500")])
        .collect();
    let auth = auth.with(&settings).await;
    let in_hand = async |number: u64| auth.metric("password_hashes").await == number;
    let register = |email: &'static str| auth.register(email);
    let running = register("one@example.org");
    let script = async {
        until("it hashes", async || in_hand(1).await).await;
        {
            let waiting = futures::future::join_all(
                ["two@example.org", "three@example.org"].map(|email| auth.register(email)),
            );
            let both_wait = until("both wait", async || in_hand(3).await);
            tokio::select! {
                _ = waiting => panic!("there is no thread for them"),
                () = both_wait => {}
            }
        }
        until("their places are free", async || in_hand(1).await).await;
    };
    tokio::select! {
        answer = running => panic!("it takes longer than the test: {answer:?}"),
        () = script => {}
    }
}
