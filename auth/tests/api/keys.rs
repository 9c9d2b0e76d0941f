//! The keys that sign access tokens: sealed at rest, known before they sign, gone when their tokens are.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::test::TestService;
use reqwest::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::harness::{Auth, KEY_ENCRYPTION_KEY, PASSWORD, until};

const OTHER_KEY: &str = "0mzK4v9y8nq1YpS0d2Jb5mQbXr9mO3cQk4y7bJtQm1s=";
const SECRET: &str = "QUADRILLE__KEYS__ENCRYPTION_SECRET";
const PREVIOUS: &str = "QUADRILLE__KEYS__PREVIOUS_ENCRYPTION_SECRET";
const IMPATIENT: [(&str, &str); 2] = [("keys.reload_interval_s", "1"), ("session.sweep_interval_s", "1")];

/// The published keys' names, the newest first.
async fn published(service: &TestService) -> Vec<String> {
    let set = service.client(None).get("/.well-known/jwks.json").await;
    let set: Value = set.json();
    set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// The key that signed a token.
fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

fn rotate(auth: &Auth) -> String {
    let output = auth.run(&["keys", "rotate"], &[]);
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    printed["kid"].as_str().unwrap().to_owned()
}

fn states(auth: &Auth) -> Vec<String> {
    let output = auth.run(&["keys", "list"], &[]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = printed.as_array().unwrap();
    keys.iter()
        .map(|key| key["state"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_an_old_one_while_its_tokens_live() {
    let auth = Auth::start_with(&IMPATIENT).await;
    let replica = auth.replica_with(&IMPATIENT).await;
    let services = [&auth.service, &replica];
    let first = published(&auth.service).await.remove(0);
    let early = auth.customer("ada@example.org").await.text("access_token");

    let second = rotate(&auth);
    let both = [second.clone(), first.clone()];
    for service in services {
        until("the new key is published", async || {
            published(service).await == both
        })
        .await;
    }
    assert_eq!(states(&auth), ["signing", "pending"]);
    let between = auth.login("ada@example.org").await.text("access_token");
    assert_eq!(kid(&between), first, "the new one does not sign yet");

    auth.execute("update signing_keys set signs_from = now() where signs_from > now()")
        .await;
    until("the new key signs", async || {
        kid(&auth.login("ada@example.org").await.text("access_token")) == second
    })
    .await;
    assert_eq!(states(&auth), ["retired", "signing"]);
    let late = auth.login("ada@example.org").await.text("access_token");
    for service in services {
        assert_eq!(published(service).await, both, "its tokens live");
        for token in [&early, &between, &late] {
            let me = service.client(Some(token.clone())).get("/auth/me").await;
            assert_eq!(me.status, 200);
        }
    }

    auth.execute("update signing_keys set signs_from = signs_from - interval '961 s'")
        .await;
    for service in services {
        until("the old key is gone", async || {
            published(service).await == [second.as_str()]
        })
        .await;
    }
    until("its row is gone", async || {
        auth.count("select count(*) from signing_keys").await == 1
    })
    .await;
    let me = auth.get("/auth/me", Some(&late)).await;
    assert_eq!(me.status, 200);
}

#[tokio::test]
async fn one_new_key_at_a_time() {
    let auth = Auth::start().await;
    let pending = rotate(&auth);
    let again = auth.run(&["keys", "rotate"], &[]);
    assert!(!again.status.success());
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(said.contains(&pending) && said.contains("signs from"), "{said}");
    assert_eq!(states(&auth), ["signing", "pending"]);
}

#[tokio::test]
async fn in_an_emergency_a_new_key_signs_at_once() {
    let auth = Auth::start_with(&IMPATIENT).await;
    let output = auth.run(&["keys", "rotate", "--now"], &[]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    auth.register("ada@example.org").await;
    until("the new key signs", async || {
        kid(&auth.login("ada@example.org").await.text("access_token")) == printed["kid"].as_str().unwrap()
    })
    .await;
}

#[tokio::test]
async fn others_may_cache_the_keys_and_ask_whether_they_changed() {
    let auth = Auth::start().await;
    let set = auth.get("/.well-known/jwks.json", None).await;
    assert_eq!(set.headers[CACHE_CONTROL], "public, max-age=300");
    assert_eq!(set.headers["content-type"], "application/json");
    for key in set.body["keys"].as_array().unwrap() {
        let mut members: Vec<_> = key.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(
            members,
            ["alg", "crv", "kid", "kty", "use", "x"],
            "no private half"
        );
    }
    let tag = set.headers[ETAG].to_str().unwrap().to_owned();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (sent, status) in [(tag.as_str(), 304), ("\"another\"", 200)] {
        let request = client
            .get(auth.service.url("/.well-known/jwks.json"))
            .header(IF_NONE_MATCH, sent);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()[ETAG], tag.as_str());
        assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=300");
    }
}

#[tokio::test]
async fn without_the_right_key_encryption_key_it_does_not_start() {
    let auth = Auth::start().await;
    for (key, expected) in [
        ("", "keys.encryption_secret: is required"),
        (
            "c2hvcnQ=",
            "keys.encryption_secret: must be 32 random bytes in base64",
        ),
        (OTHER_KEY, "is sealed with another key-encryption key"),
    ] {
        let output = auth.run(
            &["serve"],
            &[
                (SECRET, key),
                ("QUADRILLE__HTTP__PORT", "0"),
                ("QUADRILLE__KAFKA__BROKERS", "127.0.0.1:1"),
            ],
        );
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
        let logged = String::from_utf8(output.stdout).unwrap();
        assert!(key.is_empty() || !(said + &logged).contains(key), "{logged}");
    }
    assert_eq!(auth.count("select count(*) from signing_keys").await, 1);
}

#[tokio::test]
async fn a_new_key_encryption_key_takes_the_place_of_the_old_one() {
    let auth = Auth::start().await;
    let token = auth.customer("ada@example.org").await.text("access_token");
    let both = [
        ("keys.encryption_secret", OTHER_KEY),
        ("keys.previous_encryption_secret", KEY_ENCRYPTION_KEY),
    ];
    let replica = auth.replica_with(&both).await;
    assert_eq!(
        replica.client(Some(token.clone())).get("/auth/me").await.status,
        200
    );
    let without = auth.run(&["keys", "reseal"], &[(SECRET, OTHER_KEY)]);
    assert!(!without.status.success(), "{without:?}");
    let reseal = || {
        auth.run(
            &["keys", "reseal"],
            &[(SECRET, OTHER_KEY), (PREVIOUS, KEY_ENCRYPTION_KEY)],
        )
    };
    for resealed in [1, 0] {
        let output = reseal();
        assert!(output.status.success(), "{output:?}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["resealed"], resealed);
    }
    let alone = auth.replica_with(&[("keys.encryption_secret", OTHER_KEY)]).await;
    let me = alone.client(Some(token)).get("/auth/me").await;
    assert_eq!(me.status, 200);
}

#[tokio::test]
async fn a_key_that_somebody_else_put_there_is_not_published() {
    let auth = Auth::start_with(&IMPATIENT).await;
    auth.execute(
        "insert into signing_keys (kid, public_key, created_at, sealed_seed, sealed_with, signs_from) \
         select 'forged', decode(repeat('07', 32), 'hex'), now(), sealed_seed, sealed_with, now() from signing_keys",
    )
    .await;
    let rotated = rotate(&auth);
    until("the keys are read again", async || {
        published(&auth.service).await.contains(&rotated)
    })
    .await;
    assert!(!published(&auth.service).await.contains(&"forged".to_owned()));
    assert_eq!(auth.customer("ada@example.org").await.status, 200);
}

#[tokio::test]
async fn a_lead_that_is_too_short_is_no_setting() {
    let auth = Auth::start().await;
    let output = auth.run(&["keys", "list"], &[("QUADRILLE__KEYS__LEAD_S", "615")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("keys.lead_s: must be over 615 s"), "{said}");
}

#[tokio::test]
async fn a_life_of_tokens_that_nobody_takes_is_no_setting() {
    let auth = Auth::start().await;
    let output = auth.run(&["keys", "list"], &[("QUADRILLE__SESSION__ACCESS_TTL_S", "3601")]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let why = "session.access_ttl_s: must not be over token.lifetime_max_s (3600 s)";
    assert!(said.contains(why), "{said}");
}

#[tokio::test]
async fn a_grace_in_which_access_tokens_expire_is_no_setting() {
    let auth = Auth::start().await;
    let output = auth.run(&["keys", "list"], &[("QUADRILLE__SESSION__RETRY_GRACE_S", "901")]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let why = "session.retry_grace_s: must not be over session.access_ttl_s (900 s)";
    assert!(said.contains(why), "{said}");
}

#[tokio::test]
async fn seeds_lie_sealed() {
    let auth = Auth::start().await;
    let sealed = "select count(*) from signing_keys where octet_length(sealed_seed) = 72";
    assert_eq!(auth.count(sealed).await, 1);
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    assert_eq!(auth.post("/auth/register", &body).await.status, 201);
    let columns = "select count(*) from information_schema.columns where table_name = 'signing_keys' \
                   and column_name = 'private_key'";
    assert_eq!(auth.count(columns).await, 0);
}
