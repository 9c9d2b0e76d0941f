//! Answers to refreshes at rest, for whoever repeats the request.
//!
//! XChaCha20-Poly1305 under a key made from the service's own and from the token that was exchanged. That token is stored
//! as a hash, so who has the database and the service's key, but not the token, opens nothing.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox, SecretString, zeroize::Zeroize};
use sha2::{Digest, Sha256};

use super::{KeyEncryption, RefreshToken};

/// Length of a key, in bytes.
const KEY_LENGTH: usize = 32;
/// Length of a nonce, in bytes.
const NONCE_LENGTH: usize = 24;

/// Seals and opens answers, with the key-encryption key or the one before it.
pub(crate) struct AnswerSealing {
    current: SecretBox<[u8; KEY_LENGTH]>,
    previous: Option<SecretBox<[u8; KEY_LENGTH]>>,
}

impl AnswerSealing {
    /// Derives its keys.
    pub(crate) fn new(encryption: &KeyEncryption) -> Self {
        let purpose = "refresh answer";
        Self {
            current: encryption.derive(purpose),
            previous: encryption.derive_previous(purpose),
        }
    }

    /// Seals the answer that `presented` is given.
    ///
    /// # Errors
    /// Never, for something this short.
    pub(crate) fn seal(&self, presented: &RefreshToken, answer: &SecretString) -> anyhow::Result<Vec<u8>> {
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let sealed = cipher(&self.current, presented)
            .encrypt(&XNonce::from(nonce), answer.expose_secret().as_bytes())
            .map_err(|_no_reason| anyhow::anyhow!("sealing failed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens the answer that `presented` was given; nothing when it was sealed with another key, or changed.
    pub(crate) fn open(&self, presented: &RefreshToken, sealed: &[u8]) -> Option<SecretString> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let opened = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|key| cipher(key, presented).decrypt(&XNonce::from(*nonce), sealed).ok())?;
        match String::from_utf8(opened) {
            Ok(text) => Some(text.into()),
            Err(error) => {
                error.into_bytes().zeroize();
                None
            }
        }
    }
}

fn cipher(key: &SecretBox<[u8; KEY_LENGTH]>, presented: &RefreshToken) -> XChaCha20Poly1305 {
    let digest = Sha256::new()
        .chain_update(b"quadrille refresh answer key v1\0")
        .chain_update(key.expose_secret())
        .chain_update(presented.expose())
        .finalize();
    let mut key: [u8; KEY_LENGTH] = digest.into();
    let cipher = XChaCha20Poly1305::new(&Key::from(key));
    key.zeroize();
    cipher
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn sealing(current: u8, previous: Option<u8>) -> AnswerSealing {
        let secret = |byte: u8| SecretString::from(STANDARD.encode([byte; KEY_LENGTH]));
        let previous = previous.map_or_else(|| "".into(), secret);
        AnswerSealing::new(&KeyEncryption::new(&secret(current), &previous).unwrap())
    }

    #[test]
    fn an_answer_opens_for_the_token_that_was_exchanged_alone() {
        let (sealing, token) = (sealing(1, None), RefreshToken::generate());
        let sealed = sealing.seal(&token, &"{\"a\":1}".into()).unwrap();
        let opened = sealing.open(&token, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "{\"a\":1}");
        assert!(sealing.open(&RefreshToken::generate(), &sealed).is_none());
    }

    #[test]
    fn a_changed_or_shortened_one_does_not_open() {
        let (sealing, token) = (sealing(1, None), RefreshToken::generate());
        let sealed = sealing.seal(&token, &"answer".into()).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealing.open(&token, &changed).is_none(), "byte {at}");
            assert!(sealing.open(&token, &sealed[..at]).is_none(), "length {at}");
        }
    }

    #[test]
    fn one_that_the_key_before_sealed_still_opens() {
        let token = RefreshToken::generate();
        let sealed = sealing(1, None).seal(&token, &"answer".into()).unwrap();
        assert!(sealing(2, None).open(&token, &sealed).is_none());
        assert!(sealing(2, Some(1)).open(&token, &sealed).is_some());
    }
}
