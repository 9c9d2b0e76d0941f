//! Access tokens as the auth service makes them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

pub(crate) const CUSTOMER: &str = "01990000-0000-7000-8000-000000000001";
pub(crate) const STRANGER: &str = "01990000-0000-7000-8000-000000000002";
const ADMIN: &str = "01990000-0000-7000-8000-000000000003";
const KEY_ID: &str = "test-key";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The key set that all tokens here verify with, but those of [`foreign`].
pub(crate) fn jwks() -> Value {
    let x = URL_SAFE_NO_PAD.encode(key(1).verifying_key().as_bytes());
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": x}]})
}

pub(crate) fn customer(user: &str) -> String {
    signed(&claims(user, "customer", 900), &key(1))
}

pub(crate) fn admin() -> String {
    signed(&claims(ADMIN, "admin", 900), &key(1))
}

pub(crate) fn expired() -> String {
    signed(&claims(CUSTOMER, "customer", -60), &key(1))
}

/// Signed by somebody else under the same key id.
pub(crate) fn foreign() -> String {
    signed(&claims(CUSTOMER, "customer", 900), &key(2))
}

fn claims(user: &str, role: &str, lifetime_s: i64) -> Value {
    let now = chassis::clock::now().timestamp();
    json!({
        "iss": "quadrille", "aud": "quadrille-api", "sub": user, "sid": user, "jti": user, "roles": [role],
        "iat": now - 120, "nbf": now - 120, "exp": now + lifetime_s,
    })
}

fn signed(claims: &Value, key: &SigningKey) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": KEY_ID});
    let message = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
