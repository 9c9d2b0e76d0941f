//! A user sees their logins, and ends one or all.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Auth, until};

/// Requests that wait for a row.
const WAITING: &str = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                       and datname = current_database()";

async fn ids(auth: &Auth, token: &str) -> Vec<String> {
    let list = auth.get("/auth/sessions", Some(token)).await;
    assert_eq!(list.status, 200, "{list:?}");
    let items = list.body["items"].as_array().unwrap();
    items
        .iter()
        .map(|session| session["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn logins_are_listed_to_their_user_the_newest_first() {
    let auth = Auth::start().await;
    let first = auth.customer("ada@example.org").await.text("access_token");
    let second = auth.login("ada@example.org").await.text("access_token");
    auth.customer("eve@example.org").await;
    let list = auth.get("/auth/sessions", Some(&first)).await;
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "nobody else's: {list:?}");
    let current: Vec<_> = items.iter().map(|session| &session["current"]).collect();
    assert_eq!(current, [&json!(false), &json!(true)]);
    let mut members: Vec<_> = items[0].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(
        members,
        ["created_at", "current", "expires_at", "id", "refreshed_at"],
        "nothing of where it came from"
    );
    let page = auth.get("/auth/sessions?limit=1", Some(&second)).await;
    assert_eq!(page.body["items"][0]["current"], json!(true));
    let cursor = page.text("next_cursor");
    let next = auth
        .get(&format!("/auth/sessions?cursor={cursor}"), Some(&second))
        .await;
    assert_eq!(next.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(next.body["next_cursor"], Value::Null);
    auth.get("/auth/sessions", None)
        .await
        .is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_login_is_ended_from_another() {
    let auth = Auth::start().await;
    let mine = auth.customer("ada@example.org").await.text("access_token");
    let lost = auth.login("ada@example.org").await;
    let listed = ids(&auth, &mine).await;
    let path = format!("/auth/sessions/{}", listed[0]);
    for _ in 0..2 {
        assert_eq!(auth.delete(&path, &mine).await.status, 204);
    }
    auth.refresh(&lost.text("refresh_token"))
        .await
        .is_problem(401, "invalid-refresh-token");
    auth.get("/auth/me", Some(&lost.text("access_token")))
        .await
        .is_problem(401, "unauthenticated");
    assert_eq!(ids(&auth, &mine).await, listed[1..]);
    let announced = auth.announced("session.revoked").await;
    assert_eq!(announced.len(), 1, "{announced:?}");
    assert_eq!(announced[0]["session_id"], listed[0].as_str());
    assert_eq!(announced[0]["reason"], "logout");
}

#[tokio::test]
async fn somebody_elses_login_is_not_there() {
    let auth = Auth::start().await;
    let ada = auth.customer("ada@example.org").await.text("access_token");
    let eve = auth.customer("eve@example.org").await.text("access_token");
    let path = format!("/auth/sessions/{}", ids(&auth, &ada).await[0]);
    auth.delete(&path, &eve).await.is_problem(404, "not-found");
    auth.delete("/auth/sessions/01990000-0000-7000-8000-000000000001", &eve)
        .await
        .is_problem(404, "not-found");
    auth.delete("/auth/sessions/x", &eve)
        .await
        .is_problem(404, "not-found");
    assert_eq!(auth.get("/auth/me", Some(&ada)).await.status, 200);
    assert!(auth.announced("session.revoked").await.is_empty());
}

#[tokio::test]
async fn a_logout_everywhere_ends_every_login_and_the_next_one_counts() {
    let auth = Auth::start().await;
    let first = auth.customer("ada@example.org").await;
    let second = auth.login("ada@example.org").await;
    let token = first.text("access_token");
    let answer = auth
        .send(reqwest::Method::POST, "/auth/logout-all", Some(&token), None)
        .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    for login in [&first, &second] {
        auth.refresh(&login.text("refresh_token"))
            .await
            .is_problem(401, "invalid-refresh-token");
        auth.get("/auth/sessions", Some(&login.text("access_token")))
            .await
            .is_problem(401, "unauthenticated");
    }
    let announced = auth.announced("session.revoked").await;
    assert_eq!(announced.len(), 1, "one for all: {announced:?}");
    assert_eq!(
        (&announced[0]["session_id"], &announced[0]["reason"]),
        (&Value::Null, &json!("logout"))
    );
    let again = auth.login("ada@example.org").await.text("access_token");
    assert_eq!(ids(&auth, &again).await.len(), 1);
    auth.send(reqwest::Method::POST, "/auth/logout-all", None, None)
        .await
        .is_problem(401, "unauthenticated");
}

/// The token says admin for some minutes more; the account does not.
#[tokio::test]
async fn an_admin_who_is_none_any_more_is_refused_at_once() {
    let auth = Auth::start().await;
    let root = auth.admin("root@example.org").await.text("access_token");
    let other = auth.admin("other@example.org").await;
    let me = auth.get("/auth/me", Some(&other.text("access_token"))).await;
    let path = format!("/auth/users/{}", me.text("user_id"));
    assert_eq!(
        auth.patch(&path, &root, &json!({"role": "customer"}))
            .await
            .status,
        200
    );
    let stale = other.text("access_token");
    auth.get("/auth/users", Some(&stale))
        .await
        .is_problem(403, "forbidden");
    auth.patch(&path, &stale, &json!({"role": "admin"}))
        .await
        .is_problem(403, "forbidden");
    let announced = auth.announced("session.revoked").await;
    assert_eq!(announced[0]["reason"], "account_changed");
    let refreshed = auth.refresh(&other.text("refresh_token")).await;
    assert_eq!(refreshed.status, 200, "a customer's from now on: {refreshed:?}");
    auth.get("/auth/users", Some(&refreshed.text("access_token")))
        .await
        .is_problem(403, "forbidden");
}

/// The password is compared before the row is locked: whatever happens in between is seen.
#[tokio::test]
async fn a_login_that_was_overtaken_does_not_begin() {
    let auth = Auth::start().await;
    for (email, change) in [
        ("ada@example.org", "disabled = true"),
        ("eve@example.org", "password_hash = 'another'"),
    ] {
        auth.register(email).await;
        let mut admin = auth.connection().await;
        admin.begin_test_transaction().await.unwrap();
        admin
            .batch_execute(&format!("update users set {change} where email = '{email}'"))
            .await
            .unwrap();
        let (login, ()) = tokio::join!(auth.login(email), async {
            until("the login waits for the row", async || {
                auth.count(WAITING).await == 1
            })
            .await;
            diesel::sql_query("commit").execute(&mut admin).await.unwrap();
        });
        login.is_problem(401, "invalid-credentials");
        assert_eq!(auth.count("select count(*) from sessions").await, 0);
    }
}

/// The gateway compares times: a token that was made before the revocation must say so.
#[tokio::test]
async fn a_refresh_just_before_a_logout_everywhere_made_its_token_before_it() {
    let auth = Auth::start().await;
    let login = auth.customer("ada@example.org").await;
    let mut holder = auth.connection().await;
    holder.begin_test_transaction().await.unwrap();
    holder
        .batch_execute("select 1 from sessions for update")
        .await
        .unwrap();
    let (access, refresh) = (login.text("access_token"), login.text("refresh_token"));
    let (refreshed, ended, ()) = tokio::join!(
        auth.refresh(&refresh),
        async {
            until("the refresh waits", async || auth.count(WAITING).await == 1).await;
            auth.send(reqwest::Method::POST, "/auth/logout-all", Some(&access), None)
                .await
        },
        async {
            until("both wait", async || auth.count(WAITING).await == 2).await;
            diesel::sql_query("commit").execute(&mut holder).await.unwrap();
        }
    );
    assert_eq!((refreshed.status, ended.status), (200, 204));
    let token = refreshed.text("access_token");
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let made: Uuid = claims["jti"].as_str().unwrap().parse().unwrap();
    let revoked = &auth.announced("session.revoked").await[0]["revoked_at"];
    let revoked: DateTime<Utc> = revoked.as_str().unwrap().parse().unwrap();
    let made_ms = i64::try_from(made.as_u128() >> 80).unwrap();
    assert!(made_ms <= revoked.timestamp_millis(), "{made_ms} {revoked}");
}
