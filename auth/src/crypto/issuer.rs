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

/// Signs access tokens with the active key.
pub(crate) struct Issuer {
    header: Header,
    key: EncodingKey,
    issuer: String,
    audience: String,
    ttl: TimeDelta,
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

impl Issuer {
    /// An issuer that signs with `key`.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub(crate) fn new(
        key: &SigningKeyPair,
        settings: &chassis::settings::TokenSettings,
        ttl: TimeDelta,
    ) -> anyhow::Result<Self> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        Ok(Self {
            header,
            key: key.encoding_key()?,
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            ttl,
        })
    }

    /// A signed token.
    ///
    /// # Errors
    /// When signing fails: a bug.
    pub(crate) fn issue(&self, grant: TokenGrant) -> Result<String, jsonwebtoken::errors::Error> {
        let issued_at = grant.now.timestamp();
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: grant.user_id,
            sid: grant.session_id,
            jti: grant.token_id,
            roles: [grant.role.as_str()],
            iat: issued_at,
            nbf: issued_at,
            exp: (grant.now + self.ttl).timestamp(),
        };
        encode(&self.header, &claims, &self.key)
    }
}
