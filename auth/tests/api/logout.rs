use serde_json::json;

use crate::harness::Auth;

#[tokio::test]
async fn a_logout_ends_its_login_and_is_announced_once() {
    let auth = Auth::start().await;
    let login = auth.customer("ada@example.org").await;
    let other = auth.login("ada@example.org").await.text("refresh_token");
    let body = json!({"refresh_token": login.text("refresh_token")});
    for _ in 0..2 {
        assert_eq!(auth.post("/auth/logout", &body).await.status, 204);
    }
    auth.refresh(&login.text("refresh_token"))
        .await
        .is_problem(401, "invalid-refresh-token");
    assert_eq!(auth.refresh(&other).await.status, 200);
    let announced = auth.announced("session.revoked").await;
    assert_eq!(announced.len(), 1, "{announced:?}");
    assert_eq!(announced[0]["reason"], "logout");
    assert!(announced[0]["session_id"].is_string());
}

#[tokio::test]
async fn a_token_nobody_has_ends_nothing() {
    let auth = Auth::start().await;
    assert_eq!(
        auth.post("/auth/logout", &json!({"refresh_token": "qrt_x"}))
            .await
            .status,
        204
    );
    assert!(auth.announced("session.revoked").await.is_empty());
}
