//! Signing keys at rest: sealed with a key-encryption key that the database never sees.
//!
//! XChaCha20-Poly1305 with a random 192-bit nonce for each seal, which is long enough never to repeat. The key's name is
//! the associated data: a sealed seed that is moved to another row does not open there. A seed that opens is only taken
//! when it is the one its name was computed from, so a row that somebody else wrote into the table is never published.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox, SecretString, zeroize::Zeroize};
use sha2::{Digest, Sha256};

use super::SigningKeyPair;

/// Length of a key-encryption key, in bytes.
const KEY_LENGTH: usize = 32;
/// Length of a nonce, in bytes.
const NONCE_LENGTH: usize = 24;
/// Length of a key-encryption key's name, in bytes before base64.
const NAME_LENGTH: usize = 9;
/// What a sealed seed is, so that nothing else sealed with the same key passes for one.
const PURPOSE: &[u8] = b"quadrille signing key v1\0";

/// Takes a key with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a key-encryption key cannot be used. The text never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    /// It is not set.
    #[error("is required: 32 random bytes in base64, for example from `openssl rand -base64 32`")]
    Missing,
    /// It is no base64 of 32 bytes.
    #[error("must be 32 random bytes in base64, for example from `openssl rand -base64 32`")]
    Malformed,
}

/// Why a seed stays sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// Neither the key-encryption key nor the one before.
    #[error("is sealed with another key-encryption key")]
    OtherKey,
    /// Changed, moved, or of another key than its name says.
    #[error("does not open: it was changed, or is not its own")]
    Forged,
}

/// A seed as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedSeed {
    /// Nonce, sealed seed, tag.
    pub(crate) bytes: Vec<u8>,
    /// Name of the key-encryption key.
    pub(crate) sealed_with: String,
}

/// The key-encryption key, and the one before while it is being replaced.
pub(crate) struct KeyEncryption {
    current: Sealer,
    previous: Option<Sealer>,
}

struct Sealer {
    name: String,
    cipher: XChaCha20Poly1305,
    key: SecretBox<[u8; KEY_LENGTH]>,
}

impl KeyEncryption {
    /// Reads the keys; an empty `previous` is none.
    ///
    /// # Errors
    /// The setting's name, and what is wrong with it.
    pub(crate) fn new(
        current: &SecretString,
        previous: &SecretString,
    ) -> Result<Self, (&'static str, SecretError)> {
        let previous = match Sealer::read(previous) {
            Ok(sealer) => Some(sealer),
            Err(SecretError::Missing) => None,
            Err(error) => return Err(("keys.previous_encryption_secret", error)),
        };
        Ok(Self {
            current: Sealer::read(current).map_err(|error| ("keys.encryption_secret", error))?,
            previous,
        })
    }

    /// Name of the key-encryption key that seals: the beginning of a hash, which says nothing about it.
    pub(crate) fn name(&self) -> &str {
        &self.current.name
    }

    /// Seals a key's seed.
    ///
    /// # Errors
    /// Never, for something this short.
    pub(crate) fn seal(&self, pair: &SigningKeyPair) -> anyhow::Result<SealedSeed> {
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let payload = Payload {
            msg: pair.seed.expose_secret(),
            aad: &associated(&pair.kid),
        };
        let sealed = self
            .current
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_no_reason| anyhow::anyhow!("sealing failed"))?;
        Ok(SealedSeed {
            bytes: [&nonce[..], &sealed].concat(),
            sealed_with: self.current.name.clone(),
        })
    }

    /// Opens the seed of the key of this name.
    ///
    /// # Errors
    /// When it was sealed with another key, or is not what was sealed.
    pub(crate) fn open(&self, kid: &str, sealed: &SealedSeed) -> Result<SigningKeyPair, OpenError> {
        let sealer = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|sealer| sealer.name == sealed.sealed_with)
            .ok_or(OpenError::OtherKey)?;
        let pair = sealer.open(kid, &sealed.bytes).ok_or(OpenError::Forged)?;
        if pair.kid == kid {
            Ok(pair)
        } else {
            Err(OpenError::Forged)
        }
    }

    /// A key for another purpose, made from this one: who knows it learns nothing about this one.
    pub(crate) fn derive(&self, purpose: &str) -> SecretBox<[u8; KEY_LENGTH]> {
        self.current.derive(purpose)
    }

    /// The key that `derive` made for that purpose from the key-encryption key before, while that is being replaced.
    pub(crate) fn derive_previous(&self, purpose: &str) -> Option<SecretBox<[u8; KEY_LENGTH]>> {
        self.previous.as_ref().map(|sealer| sealer.derive(purpose))
    }
}

impl Sealer {
    fn derive(&self, purpose: &str) -> SecretBox<[u8; KEY_LENGTH]> {
        let digest = Sha256::new()
            .chain_update(b"quadrille derived key v1\0")
            .chain_update(self.key.expose_secret())
            .chain_update(purpose)
            .finalize();
        SecretBox::new(Box::new(digest.into()))
    }

    fn read(secret: &SecretString) -> Result<Self, SecretError> {
        let mut text = secret.expose_secret().trim().replace('-', "+").replace('_', "/");
        if text.is_empty() {
            return Err(SecretError::Missing);
        }
        let decoded = BASE64.decode(&text);
        text.zeroize();
        let mut bytes = decoded.map_err(|_would_repeat_it| SecretError::Malformed)?;
        let key = <[u8; KEY_LENGTH]>::try_from(&bytes[..]);
        bytes.zeroize();
        let key = key.map_err(|_wrong_length| SecretError::Malformed)?;
        let digest = Sha256::new()
            .chain_update(b"quadrille key-encryption key\0")
            .chain_update(key)
            .finalize();
        let name: Vec<u8> = digest.into_iter().take(NAME_LENGTH).collect();
        Ok(Self {
            name: URL_SAFE_NO_PAD.encode(name),
            cipher: XChaCha20Poly1305::new(&Key::from(key)),
            key: SecretBox::new(Box::new(key)),
        })
    }

    fn open(&self, kid: &str, bytes: &[u8]) -> Option<SigningKeyPair> {
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LENGTH>()?;
        let aad = associated(kid);
        let payload = Payload {
            msg: sealed,
            aad: &aad,
        };
        let mut seed = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        let pair = <[u8; 32]>::try_from(&seed[..])
            .ok()
            .map(SigningKeyPair::from_seed);
        seed.zeroize();
        pair
    }
}

fn associated(kid: &str) -> Vec<u8> {
    [PURPOSE, kid.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretString {
        BASE64.encode([byte; KEY_LENGTH]).into()
    }

    fn encryption(current: u8) -> KeyEncryption {
        KeyEncryption::new(&secret(current), &"".into()).unwrap()
    }

    #[test]
    fn a_seed_comes_back_under_its_own_name_alone() {
        let (encryption, pair) = (encryption(1), SigningKeyPair::from_seed([7; 32]));
        let sealed = encryption.seal(&pair).unwrap();
        assert_eq!(sealed.bytes.len(), 72);
        let opened = encryption.open(&pair.kid, &sealed).unwrap();
        assert_eq!(opened.seed.expose_secret(), pair.seed.expose_secret());
        assert!(matches!(
            encryption.open("another", &sealed),
            Err(OpenError::Forged)
        ));
        assert_ne!(
            encryption.seal(&pair).unwrap().bytes,
            sealed.bytes,
            "another nonce"
        );
    }

    #[test]
    fn a_changed_bit_does_not_open() {
        let (encryption, pair) = (encryption(1), SigningKeyPair::from_seed([7; 32]));
        let sealed = encryption.seal(&pair).unwrap();
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            assert!(encryption.open(&pair.kid, &changed).is_err(), "byte {at}");
        }
        for length in 0..sealed.bytes.len() {
            let mut short = sealed.clone();
            short.bytes.truncate(length);
            assert!(encryption.open(&pair.kid, &short).is_err(), "length {length}");
        }
    }

    #[test]
    fn another_key_does_not_open_and_the_one_before_does() {
        let pair = SigningKeyPair::from_seed([7; 32]);
        let sealed = encryption(1).seal(&pair).unwrap();
        assert!(matches!(
            encryption(2).open(&pair.kid, &sealed),
            Err(OpenError::OtherKey)
        ));
        let both = KeyEncryption::new(&secret(2), &secret(1)).unwrap();
        assert!(both.open(&pair.kid, &sealed).is_ok());
        assert_eq!(both.seal(&pair).unwrap().sealed_with, both.name());
        assert_ne!(both.name(), sealed.sealed_with);
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for text in ["short", "not base64 at all!", &"A".repeat(44), &"QUJD".repeat(12)] {
            let Err((setting, error)) = KeyEncryption::new(&text.into(), &"".into()) else {
                panic!("{text} is no key")
            };
            assert_eq!(setting, "keys.encryption_secret");
            assert_eq!(error, SecretError::Malformed);
            assert!(!error.to_string().contains(text));
        }
        let missing = KeyEncryption::new(&" \n".into(), &"".into()).err();
        assert_eq!(missing, Some(("keys.encryption_secret", SecretError::Missing)));
        let wrong = KeyEncryption::new(&secret(1), &"x".into()).err();
        assert_eq!(
            wrong,
            Some(("keys.previous_encryption_secret", SecretError::Malformed))
        );
    }

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        let plain = BASE64.encode([0xfb; KEY_LENGTH]);
        let url_safe = plain.replace('+', "-").replace('/', "_");
        let names: Vec<String> = [
            plain.as_str(),
            plain.trim_end_matches('='),
            &url_safe,
            &format!("{plain}\n"),
        ]
        .map(|text| {
            KeyEncryption::new(&text.into(), &"".into())
                .unwrap()
                .name()
                .to_owned()
        })
        .to_vec();
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    }
}
