//! Tokens by hand: any header, any claims, any signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::arena::Insider;

/// The parts of a token that the platform issued.
pub(crate) struct Parts {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) signature: String,
}

impl Parts {
    /// Takes a token apart; what is no token has null parts.
    pub(crate) fn of(token: &str) -> Self {
        let mut parts = token.split('.');
        let mut json = || parts.next().and_then(decode).unwrap_or_default();
        let (header, claims) = (json(), json());
        Self {
            header,
            claims,
            signature: parts.next().unwrap_or_default().to_owned(),
        }
    }

    /// The same with other members in its header.
    pub(crate) fn header(mut self, members: &Value) -> Self {
        merge(&mut self.header, members);
        self
    }

    /// The same with other claims; null takes one away.
    pub(crate) fn claims(mut self, members: &Value) -> Self {
        merge(&mut self.claims, members);
        self
    }

    /// When it ends, in seconds since 1970.
    pub(crate) fn end(&self) -> i64 {
        self.claims.get("exp").and_then(Value::as_i64).unwrap_or_default()
    }

    /// With the signature it had.
    pub(crate) fn unsigned(&self) -> String {
        format!("{}.{}", self.content(), self.signature)
    }

    /// With no signature.
    pub(crate) fn bare(&self) -> String {
        format!("{}.", self.content())
    }

    /// Signed by HMAC with any bytes.
    pub(crate) fn hmac(&self, secret: &[u8]) -> String {
        self.signed(&EncodingKey::from_secret(secret), Algorithm::HS256)
    }

    /// Signed with a key of one's own, which the platform has never seen.
    pub(crate) fn forged(&self) -> String {
        self.signed(&EncodingKey::from_ed_der(&OWN_KEY), Algorithm::EdDSA)
    }

    /// Signed with the platform's own key.
    pub(crate) fn by(&self, insider: &Insider) -> String {
        self.signed(&EncodingKey::from_ed_der(&insider.key), Algorithm::EdDSA)
    }

    fn signed(&self, key: &EncodingKey, algorithm: Algorithm) -> String {
        let content = self.content();
        let signature = jsonwebtoken::crypto::sign(content.as_bytes(), key, algorithm).unwrap_or_default();
        format!("{content}.{signature}")
    }

    fn content(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}

/// The public half of [`OWN_KEY`].
pub(crate) fn own_jwk() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(OWN_PUBLIC)})
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn merge(into: &mut Value, members: &Value) {
    let (Value::Object(into), Value::Object(members)) = (into, members) else {
        return;
    };
    for (name, value) in members {
        if value.is_null() {
            into.remove(name);
        } else {
            into.insert(name.clone(), value.clone());
        }
    }
}

/// RFC 8032, section 7.1, test 2, as PKCS #8.
const OWN_KEY: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0x4c,
    0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b, 0x8a,
    0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
];
const OWN_PUBLIC: [u8; 32] = [
    0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c,
    0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
];
