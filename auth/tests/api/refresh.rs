use serde_json::json;

use crate::harness::{Auth, until};

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
async fn a_late_retry_is_reuse() {
    let auth = Auth::start_with(&[("session.retry_grace_s", "0")]).await;
    let first = auth.customer("ada@example.org").await.text("refresh_token");
    let second = auth.refresh(&first).await.text("refresh_token");
    auth.refresh(&first)
        .await
        .is_problem(401, "invalid-refresh-token");
    auth.refresh(&second)
        .await
        .is_problem(401, "invalid-refresh-token");
}

#[tokio::test]
async fn a_client_that_missed_the_answer_may_ask_again_at_once() {
    let auth = Auth::start().await;
    let first = auth.customer("ada@example.org").await.text("refresh_token");
    let lost = auth.refresh(&first).await.text("refresh_token");
    let again = auth.refresh(&first).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(auth.refresh(&again.text("refresh_token")).await.status, 200);
    // Somebody has the answer that was lost, and the retry's has been used.
    auth.refresh(&first)
        .await
        .is_problem(401, "invalid-refresh-token");
    auth.refresh(&lost).await.is_problem(401, "invalid-refresh-token");
}

#[tokio::test]
async fn twenty_parallel_refreshes_leave_one_live_token() {
    let auth = Auth::start().await;
    let token = auth.customer("ada@example.org").await.text("refresh_token");
    let answers = futures::future::join_all((0..20).map(|_| auth.refresh(&token))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "all within the grace"
    );
    assert_eq!(
        auth.count("select count(*) from refresh_tokens where spent_at is null")
            .await,
        1
    );
    assert_eq!(auth.count("select count(*) from refresh_tokens").await, 21);
}

/// Two hands have what came of one token: whichever is overtaken gives the other away.
#[tokio::test]
async fn a_token_that_was_overtaken_ends_the_login_even_at_once() {
    let auth = Auth::start().await;
    for used in [false, true] {
        let email = format!("ada-{used}@example.org");
        let first = auth.customer(&email).await.text("refresh_token");
        let overtaken = auth.refresh(&first).await.text("refresh_token");
        let mut live = auth.refresh(&first).await.text("refresh_token");
        if used {
            live = auth.refresh(&live).await.text("refresh_token");
        }
        auth.refresh(&overtaken)
            .await
            .is_problem(401, "invalid-refresh-token");
        auth.refresh(&live).await.is_problem(401, "invalid-refresh-token");
    }
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
