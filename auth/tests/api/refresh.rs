use serde_json::json;

use crate::harness::{Auth, KEY_ENCRYPTION_KEY, until};

#[tokio::test]
async fn each_refresh_answers_with_a_new_pair() {
    let auth = Auth::start().await;
    let login = auth.customer("ada@example.org").await;
    let refreshed = auth.refresh(&login.text("refresh_token")).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_ne!(refreshed.text("refresh_token"), login.text("refresh_token"));
    assert_ne!(refreshed.text("access_token"), login.text("access_token"));
    assert_eq!(
        auth.get("/auth/me", Some(&refreshed.text("access_token")))
            .await
            .status,
        200
    );
    assert_eq!(auth.refresh(&refreshed.text("refresh_token")).await.status, 200);
}

#[tokio::test]
async fn a_token_that_comes_back_after_its_successor_was_used_ends_the_login() {
    let auth = Auth::start().await;
    let first = auth.customer("ada@example.org").await.text("refresh_token");
    let other_login = auth.login("ada@example.org").await.text("refresh_token");
    let second = auth.refresh(&first).await.text("refresh_token");
    let third = auth.refresh(&second).await.text("refresh_token");
    auth.refresh(&first)
        .await
        .is_problem(401, "invalid-refresh-token");
    auth.refresh(&third)
        .await
        .is_problem(401, "invalid-refresh-token");
    assert_eq!(
        auth.refresh(&other_login).await.status,
        200,
        "another login of the user goes on"
    );
    let announced = auth.announced("session.revoked").await;
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0]["reason"], "token_reuse");
}

#[tokio::test]
async fn a_repetition_after_the_grace_is_reuse() {
    let auth = Auth::start().await;
    let first = auth.customer("ada@example.org").await.text("refresh_token");
    let second = auth.refresh(&first).await.text("refresh_token");
    let later = "update refresh_tokens set spent_at = spent_at - interval '61 seconds' where generation = 1";
    auth.execute(later).await;
    auth.refresh(&first)
        .await
        .is_problem(401, "invalid-refresh-token");
    auth.refresh(&second)
        .await
        .is_problem(401, "invalid-refresh-token");
    assert_eq!(auth.announced("session.revoked").await.len(), 1);
    assert_eq!(auth.metric("refresh_token_reuse_total").await, 1);
}

/// Two tabs share a token, and the answer of one gets lost: both have the same next one, and go on with it.
#[tokio::test]
async fn a_token_has_one_successor_and_whoever_repeats_it_gets_the_same_answer() {
    let auth = Auth::start().await;
    let mut token = auth.customer("ada@example.org").await.text("refresh_token");
    for _lap in 0..3 {
        let tab = auth.refresh(&token).await;
        let late = "update refresh_tokens set spent_at = spent_at - interval '50 seconds'";
        auth.execute(late).await;
        let other = auth.refresh(&token).await;
        assert_eq!((tab.status, other.status), (200, 200), "{other:?}");
        assert_eq!(tab.body, other.body);
        token = other.text("refresh_token");
    }
    assert_eq!(auth.count("select count(*) from refresh_tokens").await, 4);
    assert!(auth.announced("session.revoked").await.is_empty());
}

#[tokio::test]
async fn twenty_refreshes_at_once_get_the_same_answer_from_two_replicas() {
    let auth = Auth::start().await;
    let replica = auth.replica().await;
    let token = auth.customer("ada@example.org").await.text("refresh_token");
    let answers = futures::future::join_all((0..20).map(|n| {
        let url = match n % 2 {
            0 => auth.service.url("/auth/refresh"),
            _ => replica.url("/auth/refresh"),
        };
        let request = reqwest::Client::new()
            .post(url)
            .json(&json!({ "refresh_token": token }));
        async move { request.send().await.unwrap().text().await.unwrap() }
    }))
    .await;
    assert!(answers[0].contains("access_token"), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let tokens = "select count(*) from refresh_tokens";
    assert_eq!(auth.count(tokens).await, 2);
}

/// An account that is disabled between two repetitions, or a login that ends, gets nothing any more.
#[tokio::test]
async fn a_login_that_is_over_repeats_no_answer() {
    let auth = Auth::start().await;
    let first = auth.customer("ada@example.org").await.text("refresh_token");
    let second = auth.refresh(&first).await.text("refresh_token");
    let logout = auth
        .post("/auth/logout", &json!({ "refresh_token": second }))
        .await;
    assert_eq!(logout.status, 204);
    auth.refresh(&first)
        .await
        .is_problem(401, "invalid-refresh-token");
    assert_eq!(auth.metric("refresh_token_reuse_total").await, 0);
}

/// What is kept for a repetition is no answer to whoever has the database, and is gone when nobody may ask for it.
#[tokio::test]
async fn answers_lie_sealed_and_are_forgotten_after_the_grace() {
    let auth = Auth::start_with(&[("session.sweep_interval_s", "1")]).await;
    let first = auth.customer("ada@example.org").await.text("refresh_token");
    let second = auth.refresh(&first).await.text("refresh_token");
    let sealed = "select count(*) from refresh_tokens where sealed_answer is not null";
    assert_eq!(auth.count(sealed).await, 1);
    let clear = format!(
        "select count(*) from refresh_tokens where position(convert_to('{second}', 'UTF8') in sealed_answer) > 0"
    );
    assert_eq!(auth.count(&clear).await, 0);
    auth.refresh(&second).await;
    assert_eq!(
        auth.count(sealed).await,
        1,
        "of the token before it, none is kept"
    );
    auth.execute("update refresh_tokens set spent_at = spent_at - interval '61 seconds'")
        .await;
    until("the last one is forgotten", async || {
        auth.count(sealed).await == 0
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_repeated_while_the_key_encryption_key_is_replaced() {
    let auth = Auth::start().await;
    let first = auth.customer("ada@example.org").await.text("refresh_token");
    let answer = auth.refresh(&first).await;
    let auth = auth
        .with(&[
            (
                "keys.encryption_secret",
                "6r0hGQ9Fh3D2RCEf2gP5XyBJ8lDg4cS1o7gS4nqmTnk=",
            ),
            ("keys.previous_encryption_secret", KEY_ENCRYPTION_KEY),
        ])
        .await;
    let again = auth.refresh(&first).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.body, answer.body);
}

#[tokio::test]
async fn spent_tokens_of_a_login_that_goes_on_are_forgotten_when_they_would_have_ended() {
    let auth = Auth::start_with(&[("session.sweep_interval_s", "1")]).await;
    let mut token = auth.customer("ada@example.org").await.text("refresh_token");
    for _ in 0..3 {
        token = auth.refresh(&token).await.text("refresh_token");
    }
    auth.execute(
        "update refresh_tokens set spent_at = now() - interval '30 days 1 second' where generation <= 2",
    )
    .await;
    until("the oldest two are gone", async || {
        auth.count("select count(*) from refresh_tokens").await == 2
    })
    .await;
    assert_eq!(auth.refresh(&token).await.status, 200, "the login goes on");
}

#[tokio::test]
async fn a_token_ends() {
    let auth = Auth::start_with(&[("session.refresh_ttl_s", "0")]).await;
    let token = auth.customer("ada@example.org").await.text("refresh_token");
    auth.refresh(&token)
        .await
        .is_problem(401, "invalid-refresh-token");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let auth = Auth::start().await;
    let access = auth.customer("ada@example.org").await.text("access_token");
    for token in ["", "x", "qrt_", &access] {
        auth.refresh(token).await.is_problem(401, "invalid-refresh-token");
    }
    auth.post("/auth/refresh", &json!({"refresh_token": 1}))
        .await
        .points_at("/refresh_token");
    auth.post("/auth/refresh", &json!({}))
        .await
        .is_problem(422, "validation");
}

#[tokio::test]
async fn tokens_are_not_stored() {
    let auth = Auth::start().await;
    let token = auth.customer("ada@example.org").await.text("refresh_token");
    let stored =
        format!("select count(*) from refresh_tokens where token_hash = convert_to('{token}', 'UTF8')");
    assert_eq!(auth.count(&stored).await, 0);
    let hashed = format!(
        "select count(*) from refresh_tokens where token_hash = sha256(convert_to('{token}', 'UTF8'))"
    );
    assert_eq!(auth.count(&hashed).await, 1);
}
