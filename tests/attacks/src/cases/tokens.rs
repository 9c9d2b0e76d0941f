//! Access tokens that nobody issued, or not for this.

use serde_json::{Value, json};

use super::cases;
use crate::arena::{Arena, text};
use crate::exchange::Exchange;
use crate::jwt::{Parts, own_jwk};
use crate::request::Request;
use crate::{Outcome, Stop};

/// What needs a login.
const PATH: &str = "/orders";

cases! {
    "TOK-01" "no token at all" ["8.3.1"] |arena| none(arena).await;
    "TOK-02" "algorithm none, no signature" ["9.1.2", "CVE-2015-9235"] |arena| made(arena, |token, _| token.header(&json!({"alg": "none"})).bare()).await;
    "TOK-03" "algorithm nOnE with the signature kept" ["9.1.2", "CVE-2015-9235"] |arena| made(arena, |token, _| token.header(&json!({"alg": "nOnE"})).unsigned()).await;
    "TOK-04" "no algorithm in the header" ["9.1.2"] |arena| made(arena, |token, _| token.header(&json!({"alg": null})).unsigned()).await;
    "TOK-05" "HS256 with the public key's bytes as the secret" ["9.1.2", "CVE-2016-5431"] |arena| made(arena, |token, jwk| token.header(&json!({"alg": "HS256"})).hmac(&key_bytes(jwk))).await;
    "TOK-06" "HS256 with the public key's text as the secret" ["9.1.2", "CVE-2016-5431"] |arena| made(arena, |token, jwk| token.header(&json!({"alg": "HS256"})).hmac(text(jwk, "x").as_bytes())).await;
    "TOK-07" "HS256 with the whole JWK as the secret" ["9.1.2", "CVE-2016-5431"] |arena| made(arena, |token, jwk| token.header(&json!({"alg": "HS256"})).hmac(jwk.to_string().as_bytes())).await;
    "TOK-08" "HS256 with the empty secret" ["9.1.2"] |arena| made(arena, |token, _| token.header(&json!({"alg": "HS256"})).hmac(b"")).await;
    "TOK-09" "RS256 over an Ed25519 signature" ["9.1.2"] |arena| made(arena, |token, _| token.header(&json!({"alg": "RS256"})).unsigned()).await;
    "TOK-10" "the role admin written into the claims" ["9.1.1", "8.2.1"] |arena| made(arena, |token, _| token.claims(&json!({"roles": ["admin"]})).unsigned()).await;
    "TOK-11" "somebody else's subject written into the claims" ["9.1.1", "8.2.2"] |arena| made(arena, |token, _| token.claims(&json!({"sub": "01900000-0000-7000-8000-000000000000"})).unsigned()).await;
    "TOK-12" "another key's signature under the platform's kid" ["9.1.1"] |arena| made(arena, |token, _| token.forged()).await;
    "TOK-13" "a key of one's own in the header (jwk)" ["9.1.3", "CVE-2018-0114"] |arena| made(arena, |token, _| token.header(&json!({"jwk": own_jwk()})).forged()).await;
    "TOK-14" "rightly signed, with keys from an address of one's own (jku)" ["9.1.3"] |arena| signed(arena, |token| token.header(&json!({"jku": "http://127.0.0.1:9/jwks.json"}))).await;
    "TOK-15" "rightly signed, with a certificate from an address of one's own (x5u)" ["9.1.3"] |arena| signed(arena, |token| token.header(&json!({"x5u": "http://127.0.0.1:9/cert.pem"}))).await;
    "TOK-16" "rightly signed, with a certificate of one's own in the header (x5c)" ["9.1.3"] |arena| signed(arena, |token| token.header(&json!({"x5c": ["MIIB"]}))).await;
    "TOK-17" "rightly signed, with an extension that must be understood (crit)" ["9.1.1"] |arena| signed(arena, |token| token.header(&json!({"crit": ["exp"]}))).await;
    "TOK-18" "a kid that climbs to an empty file" ["9.1.3", "CWE-22"] |arena| made(arena, |token, _| token.header(&json!({"kid": "../../../../../../dev/null", "alg": "HS256"})).hmac(b"")).await;
    "TOK-19" "a kid that is SQL" ["9.1.3", "CWE-89"] |arena| made(arena, |token, _| token.header(&json!({"kid": "x' union select 'a"})).forged()).await;
    "TOK-20" "rightly signed, under a kid that nobody has" ["9.1.3"] |arena| signed(arena, |token| token.header(&json!({"kid": "nobody"}))).await;
    "TOK-21" "rightly signed, without a kid" ["9.1.3"] |arena| signed(arena, |token| token.header(&json!({"kid": null}))).await;
    "TOK-22" "rightly signed, under a kid that is no text" ["9.1.3"] |arena| signed(arena, |token| token.header(&json!({"kid": {"a": 1}}))).await;
    "TOK-23" "the signature with its last bits changed" ["9.1.1"] |arena| made(arena, |token, _| malleable(&token)).await;
    "TOK-24" "a token with something behind it" ["9.1.1"] |arena| made(arena, |token, _| format!("{}.e30", token.unsigned())).await;
    "TOK-25" "padding in the signature" ["9.1.1"] |arena| made(arena, |token, _| format!("{}==", token.unsigned())).await;
    "TOK-26" "an encrypted token (five parts)" ["9.2.2"] |arena| made(arena, |_, _| "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA".to_owned()).await;
    "TOK-27" "ten thousand dots" ["9.1.1", "CVE-2025-30204"] |arena| made(arena, |_, _| ".".repeat(10_000)).await;
    "TOK-28" "rightly signed, longer than 8 KiB" ["4.2.5"] |arena| signed(arena, |token| token.claims(&json!({"pad": "a".repeat(9_000)}))).await;
    "TOK-29" "a refresh token as access token" ["9.2.2"] |arena| refuses(arena, Request::get(PATH).bearer(&arena.mallory.refresh_token)).await;
    "TOK-30" "an access token as refresh token" ["9.2.2"] |arena| access_as_refresh(arena).await;
    "TOK-31" "the token in the query" ["14.2.1"] |arena| refuses(arena, Request::get(&format!("{PATH}?access_token={}", arena.mallory.token))).await;
    "TOK-32" "the token in a cookie" ["7.2.1"] |arena| refuses(arena, Request::get(PATH).header("cookie", &format!("access_token={}", arena.mallory.token))).await;
    "TOK-33" "two Authorization headers" ["4.2.1"] |arena| refuses(arena, Request::get(PATH).bearer(&arena.mallory.token).bearer("x")).await;
    "TOK-34" "the token as a password (Basic)" ["7.2.1"] |arena| refuses(arena, Request::get(PATH).header("authorization", &format!("Basic {}", arena.mallory.token))).await;
    "TOK-35" "two tokens in one header" ["9.1.1"] |arena| refuses(arena, Request::get(PATH).header("authorization", &format!("Bearer {0}, Bearer {0}", arena.mallory.token))).await;
    "TOK-36" "rightly signed, but expired" ["9.2.1"] |arena| signed(arena, |token| token.claims(&json!({"exp": 1_600_000_000, "iat": 1_599_999_000, "nbf": 1_599_999_000}))).await;
    "TOK-37" "rightly signed, but not valid yet" ["9.2.1"] |arena| signed(arena, |token| { let nbf = token.end().saturating_sub(1); token.claims(&json!({"nbf": nbf})) }).await;
    "TOK-38" "rightly signed, without an end" ["9.2.1"] |arena| signed(arena, |token| token.claims(&json!({"exp": null}))).await;
    "TOK-39" "rightly signed, for somebody else's service" ["9.2.3"] |arena| signed(arena, |token| token.claims(&json!({"aud": "another-api"}))).await;
    "TOK-40" "rightly signed, for nobody" ["9.2.3"] |arena| signed(arena, |token| token.claims(&json!({"aud": null}))).await;
    "TOK-41" "rightly signed, by another issuer" ["9.2.3"] |arena| signed(arena, |token| token.claims(&json!({"iss": "somebody"}))).await;
    "TOK-42" "rightly signed, without an issuer" ["9.2.3"] |arena| signed(arena, |token| token.claims(&json!({"iss": null}))).await;
    "TOK-43" "rightly signed, without a subject" ["9.2.2"] |arena| signed(arena, |token| token.claims(&json!({"sub": null}))).await;
    "TOK-44" "rightly signed, without a login" ["7.2.1"] |arena| signed(arena, |token| token.claims(&json!({"sid": null}))).await;
    "TOK-45" "rightly signed, the end written as text" ["9.2.1"] |arena| signed(arena, |token| { let exp = token.end().to_string(); token.claims(&json!({"exp": exp})) }).await;
    "TOK-46" "rightly signed, of another type (ID token)" ["9.2.2"] |arena| signed(arena, |token| token.header(&json!({"typ": "JWT"}))).await;
    "TOK-47" "rightly signed, of no type" ["9.2.2"] |arena| signed(arena, |token| token.header(&json!({"typ": null}))).await;
    "TOK-48" "rightly signed, with a key of one's own in the header (jwk)" ["9.1.3", "CVE-2018-0114"] |arena| signed(arena, |token| token.header(&json!({"jwk": own_jwk()}))).await;
    "TOK-49" "rightly signed, from the future" ["9.2.1"] |arena| signed(arena, |token| { let iat = token.end().saturating_sub(1); token.claims(&json!({"iat": iat})) }).await;
    "TOK-50" "rightly signed, living longer than any" ["9.2.1"] |arena| signed(arena, |token| { let exp = token.end().saturating_add(86_400); token.claims(&json!({"exp": exp})) }).await;
    "TOK-51" "rightly signed, without an id" ["7.2.1"] |arena| signed(arena, |token| token.claims(&json!({"jti": null}))).await;
    "TOK-52" "rightly signed, without a beginning" ["9.2.1"] |arena| signed(arena, |token| token.claims(&json!({"nbf": null}))).await;
    "TOK-53" "rightly signed, without its time" ["9.2.1"] |arena| signed(arena, |token| token.claims(&json!({"iat": null}))).await;
}

async fn none(arena: &Arena) -> Outcome {
    let answer = arena.send(Request::get(PATH)).await?;
    let response = answer.problem(401, "unauthenticated")?;
    let challenge = response.header("www-authenticate").unwrap_or_default();
    answer.must(
        challenge.starts_with("Bearer"),
        "the answer does not say how to log in",
    )
}

/// Sends a token made from mallory's.
async fn made(arena: &Arena, make: fn(Parts, &Value) -> String) -> Outcome {
    let answer = arena.send(Request::get("/.well-known/jwks.json")).await?;
    let keys = answer.status(&[200])?.json();
    let key = keys.pointer("/keys/0").cloned().unwrap_or_default();
    let genuine = &arena.mallory.token;
    accepted(&arena.send(Request::get(PATH).bearer(genuine)).await?)?;
    let token = make(Parts::of(genuine), &key);
    if &token == genuine {
        return Err(Stop::Failed("        the token was not changed".to_owned()));
    }
    refuses(arena, Request::get(PATH).bearer(&token)).await
}

/// Sends mallory's token, changed, under the platform's own signature: nothing is wrong with it but the change.
async fn signed(arena: &Arena, change: fn(Parts) -> Parts) -> Outcome {
    let insider = arena.insider()?;
    let own = || Parts::of(&arena.mallory.token).header(&json!({"kid": insider.kid}));
    accepted(&arena.send(Request::get(PATH).bearer(&own().by(insider))).await?)?;
    let token = change(own()).by(insider);
    refuses(arena, Request::get(PATH).bearer(&token)).await
}

/// The genuine one counts, or the refusal of the other would say nothing.
fn accepted(answer: &Exchange) -> Outcome {
    answer.status(&[200]).map(drop)
}

async fn refuses(arena: &Arena, request: Request) -> Outcome {
    let answer = arena.send(request).await?;
    answer.status(&[400, 401, 431])?;
    answer.must(!answer.has("\"items\""), "the answer shows orders")
}

async fn access_as_refresh(arena: &Arena) -> Outcome {
    let body = json!({"refresh_token": arena.mallory.token});
    let answer = arena.send(Request::post("/auth/refresh", &body)).await?;
    answer.status(&[401, 422]).map(drop)
}

fn key_bytes(jwk: &Value) -> Vec<u8> {
    use base64::Engine;
    let text = text(jwk, "x");
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .unwrap_or_default()
}

/// 64 bytes are 86 characters, of which the last carries four bits too many: another last character with the same
/// upper bits decodes to the same signature where decoding is lax.
fn malleable(token: &Parts) -> String {
    let whole = token.unsigned();
    let last = whole.chars().last().unwrap_or('A');
    let other = match last {
        'A' => 'B',
        'Q' => 'R',
        'g' => 'h',
        _ => 'x',
    };
    let kept = whole.get(..whole.len().saturating_sub(1)).unwrap_or_default();
    format!("{kept}{other}")
}
