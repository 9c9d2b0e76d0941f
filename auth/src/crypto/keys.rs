//! Ed25519 keys: the one that signs, and those that are published.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::JwkSet;
use secrecy::{ExposeSecret, SecretBox};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A key as it is stored; the name is the thumbprint of the public half.
pub(crate) struct SigningKeyPair {
    /// RFC 7638 thumbprint, base64url.
    pub(crate) kid: String,
    /// The public half.
    pub(crate) public: [u8; 32],
    /// The seed of the private half.
    pub(crate) seed: SecretBox<[u8; 32]>,
}

/// The public half of a key, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifyingKey {
    /// Its name.
    pub(crate) kid: String,
    /// The key.
    pub(crate) public: Vec<u8>,
}

impl SigningKeyPair {
    /// A new random key.
    pub(crate) fn generate() -> Self {
        Self::from_seed(rand::random())
    }

    /// The key of a seed.
    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        Self {
            kid: thumbprint(&public),
            public,
            seed: SecretBox::new(Box::new(seed)),
        }
    }

    /// The form the token library signs with.
    ///
    /// # Errors
    /// When the key has no PKCS#8 form: never for Ed25519.
    pub(crate) fn encoding_key(&self) -> anyhow::Result<EncodingKey> {
        let der = SigningKey::from_bytes(self.seed.expose_secret())
            .to_pkcs8_der()
            .context("pkcs8")?;
        Ok(EncodingKey::from_ed_der(der.as_bytes()))
    }
}

/// The published keys as a JWK set (RFC 7517, RFC 8037).
///
/// # Errors
/// When a key is not one: never.
pub(crate) fn key_set(keys: &[VerifyingKey]) -> anyhow::Result<JwkSet> {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                "kid": key.kid, "x": URL_SAFE_NO_PAD.encode(&key.public),
            })
        })
        .collect();
    Ok(serde_json::from_value(json!({ "keys": keys }))?)
}

/// SHA-256 over the key's required members in lexical order (RFC 7638, RFC 8037).
fn thumbprint(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let x = URL_SAFE_NO_PAD
            .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
            .unwrap();
        assert_eq!(
            thumbprint(&x.try_into().unwrap()),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn the_set_holds_public_halves_only() {
        let pair = SigningKeyPair::from_seed([7; 32]);
        let key = VerifyingKey {
            kid: pair.kid.clone(),
            public: pair.public.to_vec(),
        };
        let set = serde_json::to_value(key_set(&[key]).unwrap()).unwrap();
        assert_eq!(set["keys"][0]["kid"], pair.kid.as_str());
        assert_eq!(set["keys"][0]["crv"], "Ed25519");
        assert!(set["keys"][0].get("d").is_none());
    }
}
