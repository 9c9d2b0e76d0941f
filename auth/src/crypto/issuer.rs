//! Makes access tokens.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::UserId;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use uuid::Uuid;

use super::keys::SigningKeyPair;
use crate::domain::Role;

/// Marks a token as an access token (RFC 9068).
const TOKEN_TYPE: &str = "at+jwt";

/// Makes access tokens, with whatever key signs at the time.
pub(crate) struct Issuer {
    issuer: String,
    audience: String,
    ttl: TimeDelta,
}

/// A key, ready to sign.
pub(crate) struct Signer {
    header: Header,
    key: EncodingKey,
}

/// What a token says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenGrant {
    /// Whose it is.
    pub(crate) user_id: UserId,
    /// The login it comes from.
    pub(crate) session_id: Uuid,
    /// What the user may do.
    pub(crate) role: Role,
    /// The token's own id.
    pub(crate) token_id: Uuid,
    /// From when it holds.
    pub(crate) now: DateTime<Utc>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: UserId,
    sid: Uuid,
    jti: Uuid,
    roles: [&'static str; 1],
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Signer {
    /// Makes a key ready.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub(crate) fn new(key: &SigningKeyPair) -> anyhow::Result<Self> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        Ok(Self {
            header,
            key: key.encoding_key()?,
        })
    }
}

impl Issuer {
    /// An issuer of tokens that live for `ttl`.
    pub(crate) fn new(settings: &chassis::settings::TokenSettings, ttl: TimeDelta) -> Self {
        Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            ttl,
        }
    }

    /// A signed token.
    ///
    /// # Errors
    /// When signing fails: a bug.
    pub(crate) fn issue(
        &self,
        signer: &Signer,
        grant: TokenGrant,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = grant.now.timestamp();
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: grant.user_id,
            sid: grant.session_id,
            jti: grant.token_id,
            roles: [grant.role.as_str()],
            iat: now,
            nbf: now,
            exp: (grant.now + self.ttl).timestamp(),
        };
        encode(&signer.header, &claims, &signer.key)
    }
}
