//! The signing key of a platform that runs here, for tokens that nobody else could make. It takes what a thief of one of
//! the two would lack: the database, and the key-encryption key of `.stack/keys.json`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde_json::Value;

use crate::Insider;

/// What is sealed with each key, beside its name.
const PURPOSE: &[u8] = b"quadrille signing key v1\0";
const NONCE_LENGTH: usize = 24;
/// An Ed25519 seed as PKCS #8: this, and the seed (RFC 8410, section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

impl Insider {
    /// Reads the key that signs now.
    ///
    /// # Errors
    /// What is missing, or does not open.
    pub async fn of(keys: &Path, auth_database: &str) -> Result<Self, String> {
        let file = std::fs::read(keys).map_err(|error| format!("{}: {error}", keys.display()))?;
        let file: Value = serde_json::from_slice(&file).map_err(|error| error.to_string())?;
        let secret = file.get("auth").and_then(Value::as_str).unwrap_or_default();
        let secret = STANDARD.decode(secret).map_err(|error| error.to_string())?;
        let cipher = XChaCha20Poly1305::new_from_slice(&secret).map_err(|error| error.to_string())?;
        let (kid, sealed) = sealed(auth_database).await.map_err(|error| error.to_string())?;
        let (nonce, sealed) = sealed
            .split_at_checked(NONCE_LENGTH)
            .ok_or("the sealed key is too short")?;
        let nonce: [u8; NONCE_LENGTH] = nonce.try_into().map_err(|_short| "no nonce".to_owned())?;
        let payload = Payload {
            msg: sealed,
            aad: &[PURPOSE, kid.as_bytes()].concat(),
        };
        let seed = cipher
            .decrypt(&XNonce::from(nonce), payload)
            .map_err(|_no_reason| "the signing key does not open".to_owned())?;
        Ok(Self {
            kid,
            key: [&PKCS8[..], &seed].concat(),
        })
    }
}

/// The newest key whose time has come.
async fn sealed(database: &str) -> Result<(String, Vec<u8>), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(database, tokio_postgres::NoTls).await?;
    let query = async move {
        let sql = "select kid, sealed_seed from signing_keys where signs_from <= now() order by signs_from desc limit 1";
        let row = client.query_one(sql, &[]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    };
    // the connection ends when the client is dropped
    let (found, _ended) = futures::join!(query, connection);
    found
}
