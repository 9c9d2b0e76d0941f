use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Auth, PASSWORD};

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_login_answers_with_a_pair_of_tokens() {
    let auth = Auth::start().await;
    let user_id = auth.register("ada@example.org").await.text("user_id");
    let answer = auth.login("ADA@example.org").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], 900);
    assert_eq!(answer.body["refresh_expires_in"], 2_592_000);
    let token = answer.text("access_token");
    let jwks = auth.get("/.well-known/jwks.json", None).await;
    let kid = &jwks.body["keys"][0]["kid"];
    assert_eq!(
        part(&token, 0),
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid})
    );
    let claims = part(&token, 1);
    assert_eq!(claims["sub"], user_id.as_str());
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("quadrille"), &json!("quadrille-api"))
    );
    assert_eq!(claims["roles"], json!(["customer"]));
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        900
    );
    assert!(claims["sid"].is_string() && claims["jti"].is_string() && claims["nbf"].is_i64());
}

#[tokio::test]
async fn a_token_opens_the_callers_own_account() {
    let auth = Auth::start().await;
    let token = auth.customer("ada@example.org").await.text("access_token");
    let me = auth.get("/auth/me", Some(&token)).await;
    assert_eq!(me.status, 200, "{me:?}");
    assert_eq!(
        (&me.body["email"], &me.body["role"]),
        (&json!("ada@example.org"), &json!("customer"))
    );
    assert!(me.body.get("password_hash").is_none());
}

#[tokio::test]
async fn without_a_valid_token_nothing_opens() {
    let auth = Auth::start().await;
    let login = auth.customer("ada@example.org").await;
    let missing = auth.get("/auth/me", None).await;
    missing.is_problem(401, "unauthenticated");
    assert_eq!(missing.headers["www-authenticate"], r#"Bearer realm="quadrille""#);
    for token in [
        "x",
        "a.b.c",
        &login.text("refresh_token"),
        &format!("{}x", login.text("access_token")),
    ] {
        let answer = auth.get("/auth/me", Some(token)).await;
        answer.is_problem(401, "unauthenticated");
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .contains("invalid_token")
        );
    }
}

#[tokio::test]
async fn every_wrong_login_answers_the_same() {
    let auth = Auth::start().await;
    auth.register("ada@example.org").await;
    auth.register("off@example.org").await;
    auth.execute("update users set disabled = true where email = 'off@example.org'")
        .await;
    let mut bodies = Vec::new();
    for (email, password) in [
        ("ada@example.org", "wrong horse battery"),
        ("eve@example.org", PASSWORD),
        ("off@example.org", PASSWORD),
        ("no address", PASSWORD),
        ("ada@example.org", ""),
    ] {
        let mut answer = auth
            .post("/auth/login", &json!({"email": email, "password": password}))
            .await;
        answer.is_problem(401, "invalid-credentials");
        answer.body["trace_id"].take();
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[tokio::test]
async fn unknown_or_missing_members_are_refused() {
    let auth = Auth::start().await;
    let extra = json!({"email": "ada@example.org", "password": PASSWORD, "otp": "1"});
    auth.post("/auth/login", &extra).await.points_at("/otp");
    auth.post("/auth/login", &json!({"email": "a"}))
        .await
        .is_problem(422, "validation");
    auth.post("/auth/login", &json!([]))
        .await
        .is_problem(422, "validation");
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let auth = Auth::start_with(&[("password.threads", "1"), ("password.queue_max", "0")]).await;
    let answers = futures::future::join_all((0..12).map(|_| auth.login("ada@example.org"))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty(), "twelve at once, and room for one");
    refused[0].is_problem(503, "overloaded");
    assert_eq!(refused[0].headers["retry-after"], "2");
    assert!(answers.iter().any(|answer| answer.status == 401));
}

#[tokio::test]
async fn replicas_share_one_key() {
    let auth = Auth::start().await;
    let replica = auth.replica().await;
    assert_eq!(auth.count("select count(*) from signing_keys").await, 1);
    let token = auth.customer("ada@example.org").await.text("access_token");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let me = client
        .get(replica.url("/auth/me"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(me.status(), 200);
}
