//! Guessing passwords costs time, whoever guesses and whether there is such an account; nobody is locked out for good.

use crate::harness::{Answer, Auth, PASSWORD, until};

const WRONG: &str = "wrong horse battery";
/// The first waits are a minute: no test is that slow.
const LONG: [(&str, &str); 2] = [
    ("throttle.account_delay_ms", "60000"),
    ("throttle.address_delay_ms", "60000"),
];

async fn start(settings: &[(&str, &str)]) -> Auth {
    Auth::start_with(&[&LONG, settings].concat()).await
}

/// The wait is over.
async fn later(auth: &Auth) {
    auth.execute("update login_throttle set blocked_until = now() - interval '1 ms'")
        .await;
}

#[track_caller]
fn refused_by(answer: &Answer, policy: &str) -> u64 {
    answer.is_problem(429, "rate-limited");
    let detail = answer.text("detail");
    assert!(detail.contains(policy), "{detail}");
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_account_is_throttled_whether_it_exists_or_not() {
    let auth = start(&[("throttle.account_free", "3")]).await;
    auth.register("ada@example.org").await;
    let mut answers = Vec::new();
    for (network, email) in [
        ("192.0.2", "ada@example.org"),
        ("198.51.100", "nobody@example.org"),
    ] {
        let mut seen = Vec::new();
        for client in 1..=4 {
            let mut answer = auth
                .login_from(&format!("{network}.{client}"), email, WRONG)
                .await;
            if client == 4 {
                let wait = refused_by(&answer, "login-account").to_string();
                answer.body["detail"] = answer.text("detail").replace(&wait, "some").into();
            }
            answer.body["trace_id"].take();
            seen.push((answer.status, answer.body));
        }
        answers.push(seen);
    }
    let statuses: Vec<u16> = answers[0].iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 401, 401, 429]);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn twins_of_an_address_are_one_account() {
    let auth = start(&[("throttle.account_free", "2")]).await;
    for email in ["ada@example.org", "ADA@EXAMPLE.ORG"] {
        auth.login_with(email, WRONG)
            .await
            .is_problem(401, "invalid-credentials");
    }
    let answer = auth.login_with("\u{ff41}da@example.org", WRONG).await;
    refused_by(&answer, "login-account");
}

#[tokio::test]
async fn the_right_password_waits_too_and_then_forgets_the_wrong_ones() {
    let auth = start(&[("throttle.account_free", "2")]).await;
    auth.register("ada@example.org").await;
    for _ in 0..2 {
        auth.login_with("ada@example.org", WRONG).await;
    }
    let hashes = auth.metric("password_hash_operations_total").await;
    refused_by(&auth.login("ada@example.org").await, "login-account");
    assert_eq!(
        auth.metric("password_hash_operations_total").await,
        hashes,
        "nobody looked at the password"
    );
    later(&auth).await;
    assert_eq!(auth.login("ada@example.org").await.status, 200);
    auth.login_with("ada@example.org", WRONG)
        .await
        .is_problem(401, "invalid-credentials");
    assert_eq!(
        auth.login("ada@example.org").await.status,
        200,
        "one is free again"
    );
}

#[tokio::test]
async fn the_wait_doubles_up_to_the_longest() {
    let auth = Auth::start_with(&[
        ("throttle.account_free", "1"),
        ("throttle.account_delay_max_s", "60"),
    ])
    .await;
    let mut waits = Vec::new();
    for _ in 0..8 {
        later(&auth).await;
        auth.login_with("ada@example.org", WRONG)
            .await
            .is_problem(401, "invalid-credentials");
        let blocked = "select ceil(extract(epoch from blocked_until - now()))::bigint as count \
                       from login_throttle order by failures desc, blocked_until desc limit 1";
        waits.push(auth.count(blocked).await);
    }
    // A moment has passed of each.
    for (wait, longest) in waits.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        assert!(*wait <= longest && *wait >= longest / 2, "{waits:?}");
    }
    let wait = refused_by(&auth.login_with("ada@example.org", WRONG).await, "login-account");
    assert!((1..=60).contains(&wait), "{wait}");
    later(&auth).await;
    auth.register("ada@example.org").await;
    assert_eq!(
        auth.login("ada@example.org").await.status,
        200,
        "never locked for good"
    );
}

#[tokio::test]
async fn a_client_is_throttled_over_all_accounts() {
    let auth = start(&[("throttle.address_free", "3")]).await;
    auth.register("ada@example.org").await;
    let client = "192.0.2.7";
    for name in ["a", "b"] {
        auth.login_from(client, &format!("{name}@example.org"), WRONG)
            .await;
    }
    let own = auth.login_from(client, "ada@example.org", PASSWORD).await;
    assert_eq!(own.status, 200, "{own:?}");
    auth.login_from(client, "c@example.org", WRONG)
        .await
        .is_problem(401, "invalid-credentials");
    let refused = auth.login_from(client, "ada@example.org", PASSWORD).await;
    refused_by(&refused, "login-address");
    assert_eq!(
        auth.login_from("192.0.2.8", "ada@example.org", PASSWORD)
            .await
            .status,
        200
    );
    later(&auth).await;
    for _ in 0..2 {
        let own = auth.login_from(client, "ada@example.org", PASSWORD).await;
        assert_eq!(own.status, 200, "a right one costs nothing: {own:?}");
    }
    auth.login_from(client, "d@example.org", WRONG)
        .await
        .is_problem(401, "invalid-credentials");
    let refused = auth.login_from(client, "ada@example.org", PASSWORD).await;
    let wait = refused_by(&refused, "login-address");
    assert!((61..=120).contains(&wait), "the count went on: {wait}");
}

#[tokio::test]
async fn an_ipv6_network_is_one_client() {
    let auth = start(&[("throttle.address_free", "2")]).await;
    for client in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"] {
        auth.login_from(client, &format!("{}@example.org", client.len()), WRONG)
            .await
            .is_problem(401, "invalid-credentials");
    }
    let refused = auth.login_from("2001:db8:1:2:3::4", "x@example.org", WRONG).await;
    refused_by(&refused, "login-address");
    let other = auth.login_from("2001:db8:1:3::1", "x@example.org", WRONG).await;
    other.is_problem(401, "invalid-credentials");
}

#[tokio::test]
async fn whoever_is_no_proxy_is_its_own_address() {
    let settings = [
        ("throttle.address_free", "2"),
        ("throttle.trusted_proxies", "10.0.0.0/8"),
    ];
    let auth = start(&settings).await;
    for client in 1..=2 {
        auth.login_from(
            &format!("192.0.2.{client}"),
            &format!("{client}@example.org"),
            WRONG,
        )
        .await
        .is_problem(401, "invalid-credentials");
    }
    let refused = auth.login_from("192.0.2.3", "x@example.org", WRONG).await;
    refused_by(&refused, "login-address");
}

#[tokio::test]
async fn a_hundred_guesses_at_once_are_one() {
    let auth = start(&[("throttle.account_free", "1")]).await;
    auth.login_with("ada@example.org", WRONG).await;
    later(&auth).await;
    let guesses = futures::future::join_all((0..20).map(|_| auth.login_with("ada@example.org", WRONG))).await;
    let judged = guesses.iter().filter(|answer| answer.status == 401).count();
    let refused = guesses.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((judged, refused), (1, 19));
}

/// While failures are free, they are not free for as many as come at once.
#[tokio::test]
async fn of_guesses_at_once_as_many_are_made_as_are_free() {
    let auth = start(&[("throttle.account_free", "3")]).await;
    auth.register("ada@example.org").await;
    let hashes = auth.metric("password_hash_operations_total").await;
    let clients: Vec<String> = (1..=20).map(|client| format!("192.0.2.{client}")).collect();
    let guesses = clients
        .iter()
        .map(|client| auth.login_from(client, "ada@example.org", WRONG));
    let guesses = futures::future::join_all(guesses).await;
    let judged = guesses.iter().filter(|answer| answer.status == 401).count();
    let refused = guesses.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((judged, refused), (3, 17));
    assert_eq!(auth.metric("password_hash_operations_total").await - hashes, 3);
}

/// The same for one client and ever other accounts.
#[tokio::test]
async fn of_one_clients_guesses_at_once_as_many_are_made_as_are_free() {
    let auth = start(&[("throttle.address_free", "3")]).await;
    let emails: Vec<String> = (1..=20).map(|name| format!("user-{name}@example.org")).collect();
    let guesses = emails
        .iter()
        .map(|email| auth.login_from("192.0.2.7", email, WRONG));
    let guesses = futures::future::join_all(guesses).await;
    let judged = guesses.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(judged, 3);
    let other = auth.login_from("192.0.2.8", "user-20@example.org", WRONG).await;
    other.is_problem(401, "invalid-credentials");
}

#[tokio::test]
async fn right_passwords_at_once_leave_no_failure_behind() {
    let auth = start(&[]).await;
    auth.register("ada@example.org").await;
    let logins = futures::future::join_all((0..4).map(|_| auth.login("ada@example.org"))).await;
    assert!(logins.iter().all(|login| login.status == 200), "{logins:?}");
    assert_eq!(auth.count("select count(*) from login_throttle").await, 0);
}

#[tokio::test]
async fn replicas_and_restarts_count_together() {
    let settings = [("throttle.account_free", "2")];
    let auth = start(&settings).await;
    for _ in 0..2 {
        auth.login_with("ada@example.org", WRONG).await;
    }
    let replica = auth.replica_with(&settings).await;
    let answer = replica
        .client(None)
        .post(
            "/auth/login",
            &serde_json::json!({"email": "ada@example.org", "password": WRONG}),
        )
        .await;
    assert_eq!(answer.status, 429);
}

/// Work is counted, not timed.
#[tokio::test]
async fn every_wrong_login_costs_one_hash() {
    let auth = Auth::start().await;
    auth.register("ada@example.org").await;
    auth.register("off@example.org").await;
    auth.execute("update users set disabled = true where email = 'off@example.org'")
        .await;
    for (email, password) in [
        ("ada@example.org", WRONG),
        ("eve@example.org", PASSWORD),
        ("off@example.org", PASSWORD),
        ("no address", PASSWORD),
        ("ada@example.org", ""),
        ("eve@example.org", ""),
    ] {
        let before = auth.metric("password_hash_operations_total").await;
        auth.login_with(email, password)
            .await
            .is_problem(401, "invalid-credentials");
        let after = auth.metric("password_hash_operations_total").await;
        assert_eq!(after - before, 1, "{email:?} {password:?}");
    }
}

#[tokio::test]
async fn what_is_forgotten_is_deleted_and_nothing_tells_an_address() {
    let auth = Auth::start_with(&[("session.sweep_interval_s", "1")]).await;
    auth.login_from("192.0.2.7", "ada@example.org", WRONG).await;
    assert_eq!(auth.count("select count(*) from login_throttle").await, 2);
    for text in ["ada@example.org", "192.0.2.7", "192.0.2.7/32"] {
        let plain = format!(
            "select count(*) from login_throttle where subject = sha256('{text}') or position('{text}'::bytea in subject) > 0"
        );
        assert_eq!(auth.count(&plain).await, 0);
    }
    auth.execute("update login_throttle set expires_at = now() - interval '1 s'")
        .await;
    until("the rows are deleted", async || {
        auth.count("select count(*) from login_throttle").await == 0
    })
    .await;
}
