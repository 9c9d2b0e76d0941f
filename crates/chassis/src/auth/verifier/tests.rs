use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};

use super::*;

const USER: &str = "01990000-0000-7000-8000-000000000001";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn jwk(kid: &str, key: &SigningKey) -> Value {
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x})
}

fn settings() -> TokenSettings {
    TokenSettings {
        jwks_url: String::new(),
        issuer: "quadrille".to_owned(),
        audience: "quadrille-api".to_owned(),
        jwks_refresh_s: 300,
        jwks_refetch_s: 30,
        jwks_stale_s: 3_600,
        leeway_s: 5,
        length_max_bytes: 8_192,
        lifetime_max_s: 3_600,
        cache_entries: 100.try_into().unwrap(),
        cache_age_s: 60,
    }
}

fn source(
    fetches: Arc<AtomicUsize>,
    answer: impl Fn(usize) -> Option<Value> + Send + Sync + 'static,
) -> KeySource {
    KeySource::new(Arc::new(move || {
        let answer = answer(fetches.fetch_add(1, Ordering::SeqCst));
        Box::pin(async move {
            let set: JwkSet = serde_json::from_value(answer.ok_or_else(|| anyhow::anyhow!("down"))?)?;
            Ok(set)
        })
    }))
}

fn verifier() -> TokenVerifier {
    let keys = source(Arc::default(), |_| Some(json!({"keys": [jwk("k1", &key(1))]})));
    TokenVerifier::new(&settings(), keys)
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"})
}

fn claims() -> Value {
    let now = crate::clock::now().timestamp();
    json!({
        "iss": "quadrille", "aud": "quadrille-api", "sub": USER, "sid": USER, "jti": USER,
        "roles": ["customer", "poet"], "iat": now, "nbf": now, "exp": now + 900,
    })
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

async fn refused_claims(claims: &Value) -> TokenError {
    verifier()
        .verify(&signed(&header(), claims, &key(1)))
        .await
        .unwrap_err()
}

async fn refused_header(header: &Value) -> TokenError {
    verifier()
        .verify(&signed(header, &claims(), &key(1)))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_good_token_says_who_calls() {
    let principal = verifier()
        .verify(&signed(&header(), &claims(), &key(1)))
        .await
        .unwrap();
    assert_eq!(principal.user_id.to_string(), USER);
    assert_eq!(principal.roles, [Role::Customer]);
    assert!(!principal.is_admin());
}

#[tokio::test]
async fn every_claim_is_required() {
    for claim in ["iss", "aud", "sub", "sid", "jti", "roles", "iat", "nbf", "exp"] {
        let error = refused_claims(&without(claims(), claim)).await;
        assert!(matches!(error, TokenError::Invalid(_)), "{claim}: {error}");
    }
}

#[tokio::test]
async fn another_issuer_or_audience_is_refused() {
    for (claim, value) in [("iss", "evil"), ("aud", "quadrille-admin")] {
        let error = refused_claims(&with(claims(), claim, json!(value))).await;
        assert!(matches!(error, TokenError::Invalid(_)), "{claim}: {error}");
    }
}

#[tokio::test]
async fn times_hold_within_five_seconds() {
    let now = crate::clock::now().timestamp();
    assert!(matches!(
        refused_claims(&with(claims(), "exp", json!(now - 8))).await,
        TokenError::Expired
    ));
    assert!(matches!(
        refused_claims(&with(claims(), "nbf", json!(now + 60))).await,
        TokenError::Invalid(_)
    ));
    let nearly = with(claims(), "nbf", json!(now + 2));
    assert!(
        verifier()
            .verify(&signed(&header(), &nearly, &key(1)))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn another_type_of_token_is_refused() {
    for header in [with(header(), "typ", json!("JWT")), without(header(), "typ")] {
        assert!(matches!(
            refused_header(&header).await,
            TokenError::Malformed("not an access token")
        ));
    }
}

#[tokio::test]
async fn another_algorithm_is_refused() {
    for alg in ["none", "HS256", "ES256"] {
        let error = refused_header(&with(header(), "alg", json!(alg))).await;
        assert!(
            matches!(error, TokenError::Invalid(_) | TokenError::Malformed(_)),
            "{alg}: {error}"
        );
    }
    let unsigned = signed(&with(header(), "alg", json!("none")), &claims(), &key(1));
    let unsigned = unsigned.rsplit_once('.').unwrap().0.to_owned() + ".";
    assert!(verifier().verify(&unsigned).await.is_err());
}

#[tokio::test]
async fn hs256_with_the_public_key_as_secret_is_refused() {
    let forged = jsonwebtoken::encode(
        &serde_json::from_value(with(header(), "alg", json!("HS256"))).unwrap(),
        &claims(),
        &jsonwebtoken::EncodingKey::from_secret(key(1).verifying_key().as_bytes()),
    );
    assert!(verifier().verify(&forged.unwrap()).await.is_err());
}

#[tokio::test]
async fn a_foreign_signature_or_changed_claims_are_refused() {
    assert!(
        verifier()
            .verify(&signed(&header(), &claims(), &key(2)))
            .await
            .is_err()
    );
    let token = signed(&header(), &claims(), &key(1));
    let other = signed(&header(), &with(claims(), "roles", json!(["admin"])), &key(1));
    let parts: Vec<_> = token.split('.').collect();
    let changed = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
    assert!(verifier().verify(&changed).await.is_err());
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    for text in ["", "a", "a.b.c", "....", &"x".repeat(9000)] {
        assert!(verifier().verify(text).await.is_err(), "{text}");
    }
    assert!(matches!(
        refused_header(&without(header(), "kid")).await,
        TokenError::Malformed("names no key")
    ));
}

#[tokio::test]
async fn a_header_that_brings_a_key_or_asks_for_more_is_refused() {
    for (member, value) in [
        ("jku", json!("http://127.0.0.1/keys")),
        ("x5u", json!("http://127.0.0.1/cert")),
        ("jwk", jwk("k1", &key(1))),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
    ] {
        let error = refused_header(&with(header(), member, value)).await;
        assert!(
            matches!(error, TokenError::Malformed("has a header we refuse")),
            "{member}: {error}"
        );
    }
}

#[tokio::test]
async fn a_token_verified_a_moment_ago_still_expires() {
    let verifier = verifier();
    let now = crate::clock::now().timestamp();
    let token = signed(&header(), &with(claims(), "exp", json!(now - 2)), &key(1));
    for _ in 0..2 {
        let principal = verifier.verify(&token).await.unwrap();
        assert!(
            principal.expires_at.timestamp() < now,
            "within the leeway, never from the cache"
        );
    }
    let good = signed(&header(), &claims(), &key(1));
    assert_eq!(
        verifier.verify(&good).await.unwrap(),
        verifier.verify(&good).await.unwrap()
    );
}

#[tokio::test]
async fn unknown_keys_cost_one_fetch_in_thirty_seconds() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let keys = source(Arc::clone(&fetches), |_| {
        Some(json!({"keys": [jwk("k1", &key(1))]}))
    });
    let verifier = TokenVerifier::new(&settings(), keys);
    let unknown = signed(&with(header(), "kid", json!("k9")), &claims(), &key(9));
    for _ in 0..20 {
        assert!(matches!(
            verifier.verify(&unknown).await,
            Err(TokenError::UnknownKey)
        ));
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    assert!(
        verifier
            .verify(&signed(&header(), &claims(), &key(1)))
            .await
            .is_ok()
    );
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_first_fetch_is_retried_until_it_succeeds() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let keys = source(Arc::clone(&fetches), |n| {
        (n >= 2).then(|| json!({"keys": [jwk("k1", &key(1))]}))
    });
    let mut impatient = settings();
    impatient.jwks_refetch_s = 0;
    let verifier = TokenVerifier::new(&impatient, keys);
    let token = signed(&header(), &claims(), &key(1));
    for _ in 0..2 {
        assert!(matches!(verifier.verify(&token).await, Err(TokenError::Keys(_))));
    }
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn keys_outlive_their_source_and_are_rotated() {
    let keys = source(Arc::default(), |n| match n {
        0 => Some(json!({"keys": [jwk("k1", &key(1))]})),
        1 => None,
        _ => Some(json!({"keys": [jwk("k2", &key(2))]})),
    });
    let verifier = TokenVerifier::new(&settings(), keys);
    let old = signed(&header(), &claims(), &key(1));
    let new = signed(&with(header(), "kid", json!("k2")), &claims(), &key(2));
    assert!(verifier.verify(&old).await.is_ok());
    assert!(verifier.refresh().await.is_err());
    assert!(verifier.verify(&old).await.is_ok());
    verifier.refresh().await.unwrap();
    assert!(verifier.verify(&new).await.is_ok());
    assert!(verifier.verify(&old).await.is_err());
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_anew_count_for_a_limited_time() {
    let keys = source(Arc::default(), |n| {
        (n == 0).then(|| json!({"keys": [jwk("k1", &key(1))]}))
    });
    let mut brief = settings();
    brief.jwks_stale_s = 0;
    brief.jwks_refetch_s = 0;
    let verifier = TokenVerifier::new(&brief, keys);
    verifier.refresh().await.unwrap();
    let token = signed(&header(), &claims(), &key(1));
    for _ in 0..2 {
        assert!(matches!(verifier.verify(&token).await, Err(TokenError::Keys(_))));
    }
}

#[tokio::test]
async fn while_there_are_no_keys_their_source_is_not_asked_at_each_request() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let keys = source(Arc::clone(&fetches), |_| None);
    let verifier = TokenVerifier::new(&settings(), keys);
    let token = signed(&header(), &claims(), &key(1));
    for _ in 0..20 {
        assert!(matches!(verifier.verify(&token).await, Err(TokenError::Keys(_))));
    }
    assert!(fetches.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn a_revoked_token_is_refused_also_when_it_was_verified_a_moment_ago() {
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let list = Arc::clone(&ended);
    let verifier = verifier().refusing(Arc::new(move |_| list.load(Ordering::SeqCst)));
    let token = signed(&header(), &claims(), &key(1));
    assert!(verifier.verify(&token).await.is_ok());
    ended.store(true, Ordering::SeqCst);
    assert!(matches!(verifier.verify(&token).await, Err(TokenError::Revoked)));
    ended.store(false, Ordering::SeqCst);
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_token_from_the_future_or_one_that_never_ends_is_refused() {
    let now = crate::clock::now().timestamp();
    for (claim, value, why) in [
        ("iat", now + 60, "issued in the future"),
        ("exp", now + 86_400, "lives too long"),
        ("iat", i64::MIN, "lives too long"),
    ] {
        let error = refused_claims(&with(claims(), claim, json!(value))).await;
        assert_eq!(error.to_string(), format!("malformed token: {why}"), "{claim}");
    }
}

#[tokio::test]
async fn a_member_given_twice_is_refused() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let twice = |text: String, more: &str| text.replacen('{', &format!("{{{more},"), 1);
    for (header, claims) in [
        (twice(header().to_string(), r#""kid":"k0""#), claims().to_string()),
        (
            header().to_string(),
            twice(claims().to_string(), r#""roles":["admin"]"#),
        ),
    ] {
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(key(1).sign(message.as_bytes()).to_bytes());
        assert!(
            verifier()
                .verify(&format!("{message}.{signature}"))
                .await
                .is_err()
        );
    }
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    fn judged(token: &str) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(verifier().verify(token)).is_ok()
    }

    proptest! {
        #[test]
        fn nothing_that_is_made_up_holds(token in r"[A-Za-z0-9_=.\-]{0,300}") {
            prop_assert!(!judged(&token));
        }

        #[test]
        fn no_header_or_claims_make_it_panic(header in ".{0,100}", claims in ".{0,100}") {
            let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let signature = URL_SAFE_NO_PAD.encode(key(1).sign(message.as_bytes()).to_bytes());
            let token = format!("{message}.{signature}");
            prop_assert!(!judged(&token));
        }

        #[test]
        fn a_token_with_any_byte_changed_does_not_hold(place in any::<proptest::sample::Index>(), byte in b'-'..b'z') {
            let good = signed(&header(), &claims(), &key(1));
            let mut bytes = good.clone().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assume!(changed != good);
            prop_assert!(!judged(&changed), "{changed}");
        }
    }
}
