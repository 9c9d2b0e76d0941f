//! Verification of access tokens (RFC 9068 shape): EdDSA only, every claim required.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::UserId;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use super::cache::VerifiedTokens;
use super::jwks::{KeySource, KeysUnavailable};
use super::principal::{Principal, Role};
use crate::clock;
use crate::settings::TokenSettings;

/// The only `typ` taken: other tokens of the same issuer are not access tokens.
const TOKEN_TYPE: &str = "at+jwt";

/// Whether a token that verifies has been ended early, by whom it speaks for.
pub type IsRevoked = Arc<dyn Fn(&Principal) -> bool + Send + Sync>;

/// Why a token does not hold. The text is for the log; a client learns only that it does not.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or not one of the form we issue.
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    /// Signed by a key that is not, or no longer, published.
    #[error("unknown key")]
    UnknownKey,
    /// Signature or claims are wrong.
    #[error("invalid token")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    /// It held until a while ago.
    #[error("expired token")]
    Expired,
    /// It would hold, had its login not ended.
    #[error("revoked token")]
    Revoked,
    /// No token can be judged right now.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
}

/// The claims of an access token.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: UserId,
    /// The login.
    pub sid: Uuid,
    /// The token itself.
    pub jti: Uuid,
    /// What the user may do; names we do not know are ignored.
    pub roles: Vec<String>,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Not valid before, likewise.
    pub nbf: i64,
    /// Not valid after, likewise.
    pub exp: i64,
}

/// Verifies access tokens. Cheap to clone; clones share keys.
#[derive(Clone)]
pub struct TokenVerifier {
    inner: Arc<Inner>,
    is_revoked: Option<IsRevoked>,
}

struct Inner {
    keys: KeySource,
    verified: VerifiedTokens,
    validation: Validation,
    length_max: usize,
    leeway_s: i64,
    lifetime_max_s: i64,
}

impl TokenVerifier {
    /// Verifies against the keys at `token.jwks_url`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn from_url(settings: &TokenSettings) -> anyhow::Result<Self> {
        Ok(Self::new(settings, KeySource::url(settings.jwks_url.clone())?))
    }

    /// Verifies against keys from elsewhere, for example the issuer's own database.
    #[must_use]
    pub fn new(settings: &TokenSettings, keys: KeySource) -> Self {
        let keys = keys.with_times(
            Duration::from_secs(settings.jwks_refetch_s),
            Duration::from_secs(settings.jwks_stale_s),
        );
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf", "sub"]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.validate_nbf = true;
        validation.leeway = settings.leeway_s;
        Self {
            inner: Arc::new(Inner {
                keys,
                verified: VerifiedTokens::new(
                    settings.cache_entries,
                    Duration::from_secs(settings.cache_age_s),
                ),
                validation,
                length_max: settings.length_max_bytes,
                leeway_s: i64::try_from(settings.leeway_s).unwrap_or(i64::MAX),
                lifetime_max_s: settings.lifetime_max_s.into(),
            }),
            is_revoked: None,
        }
    }

    /// Refuses those whom `is_revoked` names. Asked at every verification, also of a token that was verified a moment
    /// ago.
    #[must_use]
    pub fn refusing(mut self, is_revoked: IsRevoked) -> Self {
        self.is_revoked = Some(is_revoked);
        self
    }

    /// Who the token speaks for.
    ///
    /// # Errors
    /// When it does not hold, or when no keys were ever fetched.
    pub async fn verify(&self, token: &str) -> Result<Principal, TokenError> {
        let principal = self.verify_alone(token).await?;
        match &self.is_revoked {
            Some(is_revoked) if is_revoked(&principal) => Err(TokenError::Revoked),
            Some(_) | None => Ok(principal),
        }
    }

    async fn verify_alone(&self, token: &str) -> Result<Principal, TokenError> {
        if token.len() > self.inner.length_max {
            return Err(TokenError::Malformed("too long"));
        }
        let fingerprint = VerifiedTokens::fingerprint(token);
        let key_set = self.inner.keys.version();
        // keys that count no more verify nothing, not even what they once did
        if self.inner.keys.is_usable()
            && let Some(principal) = self.inner.verified.get(&fingerprint, key_set, clock::now())
        {
            return Ok(principal);
        }
        let kid = accepted_header(token)?;
        let key = self.inner.keys.key(&kid).await?.ok_or(TokenError::UnknownKey)?;
        let claims = decode::<Claims>(token, &key, &self.inner.validation)
            .map_err(refused)?
            .claims;
        self.inner.check_times(&claims)?;
        let principal = principal(&claims)?;
        self.inner.verified.put(fingerprint, key_set, principal.clone());
        Ok(principal)
    }

    /// Fetches the keys anew.
    ///
    /// # Errors
    /// When their source is down; the keys we have stay.
    pub async fn refresh(&self) -> anyhow::Result<()> {
        self.inner.keys.refresh().await
    }
}

impl Inner {
    /// What the library does not check: a token is not from the future, and does not live longer than any of ours.
    fn check_times(&self, claims: &Claims) -> Result<(), TokenError> {
        let latest = clock::now().timestamp().saturating_add(self.leeway_s);
        if claims.iat > latest {
            return Err(TokenError::Malformed("issued in the future"));
        }
        let lifetime = claims.exp.checked_sub(claims.iat);
        if lifetime.is_none_or(|lifetime| lifetime > self.lifetime_max_s) {
            return Err(TokenError::Malformed("lives too long"));
        }
        Ok(())
    }
}

/// The name of the key that signed, if the header is one of ours. Whatever could bring its own key or asks for
/// an extension we do not know is refused.
fn accepted_header(token: &str) -> Result<String, TokenError> {
    let header = decode_header(token).map_err(TokenError::Invalid)?;
    if header.alg != Algorithm::EdDSA {
        return Err(TokenError::Malformed("not signed with EdDSA"));
    }
    if !header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case(TOKEN_TYPE)) {
        return Err(TokenError::Malformed("not an access token"));
    }
    let brings_key =
        header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some();
    if brings_key || header.crit.is_some() {
        return Err(TokenError::Malformed("has a header we refuse"));
    }
    header.kid.ok_or(TokenError::Malformed("names no key"))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's list of errors grows"
)]
fn refused(error: jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::ExpiredSignature => TokenError::Expired,
        _ => TokenError::Invalid(error),
    }
}

fn principal(claims: &Claims) -> Result<Principal, TokenError> {
    let expires_at =
        DateTime::<Utc>::from_timestamp(claims.exp, 0).ok_or(TokenError::Malformed("exp is no time"))?;
    Ok(Principal {
        user_id: claims.sub,
        session_id: claims.sid,
        token_id: claims.jti,
        roles: claims
            .roles
            .iter()
            .filter_map(|name| Role::from_name(name))
            .collect(),
        issued_at: DateTime::<Utc>::from_timestamp(claims.iat, 0)
            .ok_or(TokenError::Malformed("iat is no time"))?,
        expires_at,
    })
}

#[cfg(test)]
mod tests;
