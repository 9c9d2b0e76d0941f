//! Signatures of the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// What stands before a secret's base64.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const LENGTH: usize = 32;

/// A webhook's secret.
pub(crate) struct Secret(SecretSlice<u8>);

impl Secret {
    /// A new one.
    pub(crate) fn generate() -> Self {
        let mut bytes = vec![0_u8; LENGTH];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes.into())
    }

    /// Its bytes, to store.
    pub(crate) fn bytes(&self) -> &SecretSlice<u8> {
        &self.0
    }

    /// As its user sees it, once.
    pub(crate) fn shown(&self) -> SecretString {
        shown(&self.0)
    }
}

/// A secret as its user sees it.
pub(crate) fn shown(secret: &SecretSlice<u8>) -> SecretString {
    format!("{PREFIX}{}", STANDARD.encode(secret.expose_secret())).into()
}

/// The value of `webhook-signature`: one signature a secret, with spaces between.
pub(crate) fn signatures<'a>(
    secrets: impl IntoIterator<Item = &'a SecretSlice<u8>>,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> String {
    let signed = secrets
        .into_iter()
        .filter_map(|secret| signature(secret, id, timestamp, body));
    signed.collect::<Vec<_>>().join(" ")
}

/// None never: HMAC takes keys of any length.
fn signature(secret: &SecretSlice<u8>, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.expose_secret()).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn it_is_the_specifications_signature() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = signatures(
            &[secret.into()],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_sign_side_by_side() {
        let (new, old) = (Secret::generate(), Secret::generate());
        let both = signatures([new.bytes(), old.bytes()], "id", 1, b"{}");
        assert_eq!(both.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
        assert!(new.shown().expose_secret().starts_with("whsec_"));
        assert_ne!(new.shown().expose_secret(), old.shown().expose_secret());
    }
}
