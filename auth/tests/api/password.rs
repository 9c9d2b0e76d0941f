//! What a password must be like, and how one is changed.

use serde_json::{Value, json};

use crate::harness::{Auth, PASSWORD};

const NEW: &str = "a yew, an alder, a larch";

fn change(from: &str, to: &str) -> Value {
    json!({"current_password": from, "new_password": to})
}

#[tokio::test]
async fn the_first_guesses_are_refused() {
    let auth = Auth::start().await;
    for (password, why) in [
        ("Password1234", "is too common"),
        ("qwertyuiop12", "is a repetition or a sequence"),
        ("iloveyou2024!", "is too common"),
        ("aaaaaaaaaaaa", "is a repetition or a sequence"),
        ("Ada.Lovelace@Example.org", "is part of the e-mail address"),
        ("ada.lovelace", "is part of the e-mail address"),
        ("elevenchars", "is shorter than 12 characters"),
    ] {
        let body = json!({"email": "ada.lovelace@example.org", "password": password});
        let answer = auth.post("/auth/register", &body).await;
        answer.points_at("/password");
        assert_eq!(answer.body["errors"][0]["detail"], why, "{password}");
    }
    assert_eq!(auth.count("select count(*) from users").await, 0);
}

#[tokio::test]
async fn a_password_is_kept_as_it_came() {
    let auth = Auth::start().await;
    let password = "  \u{fb01}sh the \u{212b}ngstr\u{f6}m  ";
    let body = json!({"email": "ada@example.org", "password": password});
    assert_eq!(auth.post("/auth/register", &body).await.status, 201);
    for other in [
        password.trim(),
        "  fish the \u{c5}ngstr\u{f6}m  ",
        &password.to_uppercase(),
    ] {
        auth.login_with("ada@example.org", other)
            .await
            .is_problem(401, "invalid-credentials");
    }
    assert_eq!(auth.login_with("ada@example.org", password).await.status, 200);
}

/// The old one is compared and the new one hashed, one after the other.
#[tokio::test]
async fn a_change_needs_one_place_among_the_hashes() {
    let auth = Auth::start_with(&[("password.threads", "1"), ("password.queue_max", "0")]).await;
    let token = auth.customer("ada@example.org").await.text("access_token");
    let changed = auth.put("/auth/password", &token, &change(PASSWORD, NEW)).await;
    assert_eq!(changed.status, 204, "{changed:?}");
}

#[tokio::test]
async fn a_change_keeps_this_login_and_ends_the_others() {
    let auth = Auth::start().await;
    let mine = auth.customer("ada@example.org").await;
    let others = [
        auth.login("ada@example.org").await,
        auth.login("ada@example.org").await,
    ];
    let token = mine.text("access_token");
    let changed = auth.put("/auth/password", &token, &change(PASSWORD, NEW)).await;
    assert_eq!(changed.status, 204, "{changed:?}");
    for other in &others {
        auth.refresh(&other.text("refresh_token"))
            .await
            .is_problem(401, "invalid-refresh-token");
        auth.get("/auth/me", Some(&other.text("access_token")))
            .await
            .is_problem(401, "unauthenticated");
    }
    assert_eq!(auth.get("/auth/me", Some(&token)).await.status, 200);
    assert_eq!(auth.refresh(&mine.text("refresh_token")).await.status, 200);
    auth.login("ada@example.org")
        .await
        .is_problem(401, "invalid-credentials");
    assert_eq!(auth.login_with("ada@example.org", NEW).await.status, 200);
    let announced = auth.announced("session.revoked").await;
    assert_eq!(announced.len(), 2, "one for each that ended: {announced:?}");
    for revoked in &announced {
        assert_eq!(revoked["reason"], "password_changed");
        assert!(revoked["session_id"].is_string());
    }
}

#[tokio::test]
async fn a_change_that_is_refused_changes_nothing() {
    let auth = Auth::start().await;
    let login = auth.customer("ada@example.org").await;
    let token = login.text("access_token");
    for (body, pointer) in [
        (change("wrong horse battery", NEW), "/current_password"),
        (change(PASSWORD, "password1234"), "/new_password"),
        (change(PASSWORD, "ada@example.org"), "/new_password"),
        (change(PASSWORD, "short"), "/new_password"),
        (change(PASSWORD, PASSWORD), "/new_password"),
        (json!({"new_password": NEW}), "/current_password"),
        (
            json!({"current_password": PASSWORD, "new_password": NEW, "user_id": "x"}),
            "/user_id",
        ),
    ] {
        auth.put("/auth/password", &token, &body).await.points_at(pointer);
    }
    auth.send(
        reqwest::Method::PUT,
        "/auth/password",
        None,
        Some(&change(PASSWORD, NEW)),
    )
    .await
    .is_problem(401, "unauthenticated");
    assert_eq!(auth.login("ada@example.org").await.status, 200);
    assert!(auth.announced("session.revoked").await.is_empty());
}

/// A stolen access token is no way around the throttle of logins.
#[tokio::test]
async fn guesses_of_the_current_password_are_failed_logins() {
    let settings = [
        ("throttle.account_free", "2"),
        ("throttle.account_delay_ms", "60000"),
    ];
    let auth = Auth::start_with(&settings).await;
    let token = auth.customer("ada@example.org").await.text("access_token");
    for _ in 0..2 {
        auth.put("/auth/password", &token, &change("wrong horse battery", NEW))
            .await
            .points_at("/current_password");
    }
    let refused = auth.put("/auth/password", &token, &change(PASSWORD, NEW)).await;
    refused.is_problem(429, "rate-limited");
    auth.login("ada@example.org")
        .await
        .is_problem(429, "rate-limited");
}

#[tokio::test]
async fn an_ended_login_changes_no_password() {
    let auth = Auth::start().await;
    let login = auth.customer("ada@example.org").await;
    let body = json!({"refresh_token": login.text("refresh_token")});
    assert_eq!(auth.post("/auth/logout", &body).await.status, 204);
    auth.put(
        "/auth/password",
        &login.text("access_token"),
        &change(PASSWORD, NEW),
    )
    .await
    .is_problem(401, "unauthenticated");
    assert_eq!(auth.login("ada@example.org").await.status, 200);
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_made_anew_at_login() {
    let auth = Auth::start_with(&[("password.memory_kib", "8192"), ("password.iterations", "1")]).await;
    auth.register("ada@example.org").await;
    let like = |parameters: &str| {
        format!("select count(*) from users where password_hash like '$argon2id$v=19${parameters}$%'")
    };
    assert_eq!(auth.count(&like("m=8192,t=1,p=1")).await, 1);
    let today = auth.replica().await;
    let login = |password: &str| {
        let body = json!({"email": "ada@example.org", "password": password});
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(today.url("/auth/login")).json(&body).send()
    };
    assert_eq!(login("wrong horse battery").await.unwrap().status(), 401);
    assert_eq!(
        auth.count(&like("m=8192,t=1,p=1")).await,
        1,
        "only the right one does"
    );
    assert_eq!(login(PASSWORD).await.unwrap().status(), 200);
    assert_eq!(auth.count(&like("m=19456,t=2,p=1")).await, 1);
    assert_eq!(login(PASSWORD).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_floor_under_the_floor_is_no_setting() {
    let output = tokio::task::spawn_blocking(|| {
        std::process::Command::new(env!("CARGO_BIN_EXE_auth"))
            .args(["create-admin", "--email", "root@example.org"])
            .env("QUADRILLE__DATABASE__URL", "postgres://nobody@127.0.0.1:1/none")
            .env("QUADRILLE__PASSWORD__LENGTH_MIN", "7")
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("password.length_min: must be at least 8"), "{said}");
}

/// The hash of the decomposed form, as an earlier release made it.
const AS_SENT: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JeBvDGYJt34XpPGqb0c4JA$C1lXJCKOBS+OWcVNx1PHls/LK1vOpC+FJuQd4GIBH58";

/// One system composes an accent, another does not: it is one password, in every place where one is asked for. Who
/// registered before passwords were normalized logs in as ever, and has a normalized one from then on.
#[tokio::test]
async fn composed_and_decomposed_forms_are_one_password() {
    let auth = Auth::start().await;
    let (composed, decomposed) = (
        "ca\u{66}\u{e9} cr\u{e8}me br\u{fb}l\u{e9}e",
        "cafe\u{301} cre\u{300}me bru\u{302}le\u{301}e",
    );
    for (email, registered, used) in [
        ("ada@example.org", composed, decomposed),
        ("eve@example.org", decomposed, composed),
    ] {
        let body = json!({"email": email, "password": registered});
        assert_eq!(auth.post("/auth/register", &body).await.status, 201);
        assert_eq!(auth.login_with(email, used).await.status, 200, "{email}");
        let token = auth.login_with(email, registered).await.text("access_token");
        let same = json!({"current_password": used, "new_password": registered});
        auth.put("/auth/password", &token, &same)
            .await
            .points_at("/new_password");
    }
    // as an earlier release stored it: the hash of what was sent
    let body = json!({"email": "old@example.org", "password": composed});
    assert_eq!(auth.post("/auth/register", &body).await.status, 201);
    auth.execute(&format!(
        "update users set password_hash = '{AS_SENT}' where email = 'old@example.org'"
    ))
    .await;
    assert_eq!(auth.login_with("old@example.org", composed).await.status, 401);
    assert_eq!(auth.login_with("old@example.org", decomposed).await.status, 200);
    assert_eq!(auth.login_with("old@example.org", composed).await.status, 200);
}
