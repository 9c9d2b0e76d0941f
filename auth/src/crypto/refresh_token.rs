//! Refresh tokens: 256 random bits, known to the client alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// What every token begins with, so that secret scanners recognise one.
const PREFIX: &str = "qrt_";

/// A token on its way to a client, or back from one.
pub(crate) struct RefreshToken(SecretString);

impl RefreshToken {
    /// A new random token.
    pub(crate) fn generate() -> Self {
        let bits: [u8; 32] = rand::random();
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits)).into())
    }

    /// A token that a client sent; whether it exists only the database knows.
    pub(crate) fn received(text: SecretString) -> Self {
        Self(text)
    }

    /// What is stored. A plain hash is enough: nobody guesses 256 random bits.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose_secret()).into()
    }

    /// The token itself.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_to_its_hash() {
        let token = RefreshToken::generate();
        let hash = token.hash();
        let text = token.expose().to_owned();
        assert_eq!(text.len(), PREFIX.len() + 43);
        assert_eq!(RefreshToken::received(text.into()).hash(), hash);
        assert_ne!(RefreshToken::generate().hash(), hash);
    }
}
