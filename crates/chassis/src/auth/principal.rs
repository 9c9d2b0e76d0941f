//! The caller as handlers see it.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use chrono::{DateTime, Utc};
use contracts::UserId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;
use uuid::Uuid;

use super::verifier::{TokenError, TokenVerifier};
use crate::problem::{Code, Problem};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders, and sees what is their own.
    Customer,
    /// Operates the platform, and sees everything.
    Admin,
}

impl Role {
    /// Its name in tokens and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "customer" => Some(Self::Customer),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// The caller, by a valid access token. As an extractor: 401 without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The login the token came from.
    pub session_id: Uuid,
    /// The token itself.
    pub token_id: Uuid,
    /// What the user may do.
    pub roles: Vec<Role>,
    /// When the token was issued.
    pub issued_at: DateTime<Utc>,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

impl Principal {
    /// Whether the caller operates the platform.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// Whether the caller may see what belongs to `owner`.
    #[must_use]
    pub fn may_see(&self, owner: UserId) -> bool {
        self.is_admin() || self.user_id == owner
    }

    /// Whose things a list shows that is asked for those of `owner`, or of everybody the caller may see; none means everybody.
    ///
    /// # Errors
    /// 403 when they are somebody else's.
    pub fn whose(&self, owner: Option<Uuid>) -> Result<Option<UserId>, Problem> {
        let owner = owner.map(UserId::new);
        if self.is_admin() {
            return Ok(owner);
        }
        match owner {
            Some(other) if other != self.user_id => {
                Err(Problem::new(Code::Forbidden).detail("only admins see what belongs to others"))
            }
            Some(_) | None => Ok(Some(self.user_id)),
        }
    }

    /// Verifies the bearer token of a request: what the extractor does, for code that has no extractor.
    ///
    /// # Errors
    /// 401 without a valid token, 503 when no token can be judged.
    pub async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let verifier = request
            .app_data::<web::Data<TokenVerifier>>()
            .ok_or_else(|| Problem::internal(anyhow::anyhow!("no token verifier in the app data")))?;
        let token = bearer(request.headers().get_all(AUTHORIZATION))?;
        verifier.verify(token).await.map_err(Problem::from)
    }
}

/// The caller, an admin. As an extractor: 401 without a token, 403 with another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPrincipal(pub Principal);

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let of = request.clone();
        decide(request, async move { Self::of(&of).await })
    }
}

impl FromRequest for AdminPrincipal {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let of = request.clone();
        decide(request, async move {
            let principal = Principal::of(&of).await?;
            if principal.is_admin() {
                return Ok(Self(principal));
            }
            let challenge =
                HeaderValue::from_static(r#"Bearer realm="quadrille", error="insufficient_scope""#);
            Err(Problem::new(Code::Forbidden)
                .detail("this needs the role admin")
                .header(WWW_AUTHENTICATE, challenge))
        })
    }
}

/// Whether the caller may has been decided.
struct Decision(watch::Receiver<bool>);

/// Extractors of a handler run beside each other: those of what the caller sent wait for this one, so that nobody who may not
/// is told what is wrong with their request.
fn decide<T: 'static>(
    request: &HttpRequest,
    decision: impl Future<Output = Result<T, Problem>> + 'static,
) -> Pin<Box<dyn Future<Output = Result<T, Problem>>>> {
    let (decided, waited_for) = watch::channel(false);
    request.extensions_mut().insert(Decision(waited_for));
    Box::pin(async move {
        let outcome = decision.await;
        if outcome.is_ok() {
            decided.send_replace(true);
        }
        outcome
    })
}

/// Waits until it is decided whether the caller may, where a handler asks that before.
pub(crate) async fn decided(request: &HttpRequest) {
    let decision = request.extensions().get::<Decision>().map(|it| it.0.clone());
    if let Some(mut decision) = decision {
        // an error: they may not, and nobody waits for anything else
        let _refused = decision.wait_for(|decided| *decided).await;
    }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1). A token anywhere else is none.
fn bearer<'a>(mut headers: impl Iterator<Item = &'a HeaderValue>) -> Result<&'a str, Problem> {
    let missing = || {
        let challenge = HeaderValue::from_static(r#"Bearer realm="quadrille""#);
        Problem::new(Code::Unauthenticated).header(WWW_AUTHENTICATE, challenge)
    };
    let header = headers.next().ok_or_else(missing)?;
    if headers.next().is_some() {
        let challenge = HeaderValue::from_static(r#"Bearer realm="quadrille", error="invalid_request""#);
        return Err(Problem::new(Code::BadRequest)
            .detail("there is more than one Authorization header")
            .header(WWW_AUTHENTICATE, challenge));
    }
    let text = header.to_str().map_err(|_not_text| missing())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let token = token.trim_matches(' ');
            if is_b64token(token) {
                Ok(token)
            } else {
                Err(missing())
            }
        }
        Some(_) | None => Err(missing()),
    }
}

/// What a token may consist of.
fn is_b64token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let detail = match &error {
            TokenError::Keys(_) => return Self::unavailable(error),
            TokenError::Expired => "the access token has expired",
            TokenError::Revoked => "the access token has been revoked",
            TokenError::Malformed(_) | TokenError::UnknownKey | TokenError::Invalid(_) => {
                "the access token is not valid"
            }
        };
        let challenge = HeaderValue::from_static(r#"Bearer realm="quadrille", error="invalid_token""#);
        Self::new(Code::Unauthenticated)
            .detail(detail)
            .header(WWW_AUTHENTICATE, challenge)
            .caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token_of(values: &[&str]) -> Option<String> {
        let values: Vec<_> = values
            .iter()
            .map(|value| HeaderValue::from_str(value).unwrap())
            .collect();
        bearer(values.iter()).ok().map(str::to_owned)
    }

    #[test]
    fn one_bearer_token_is_taken_whatever_its_schemes_case() {
        for value in ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER   a.b-c_d "] {
            assert_eq!(token_of(&[value]).as_deref(), Some("a.b-c_d"), "{value}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for values in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Basic eA=="],
            &["Bearer a, Bearer b"],
            &["Bearer a b"],
            &["Bearer a", "Bearer a"],
            &["a.b.c"],
        ] {
            assert_eq!(token_of(values), None, "{values:?}");
        }
    }

    #[test]
    fn two_of_them_are_a_bad_request() {
        let value = HeaderValue::from_static("Bearer a");
        let problem = bearer([&value, &value].into_iter()).unwrap_err();
        assert_eq!(problem.code(), Code::BadRequest);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_and_a_token_has_no_gap(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", &bytes[..]].concat()) else { return Ok(()) };
            if let Ok(token) = bearer(std::iter::once(&value)) {
                prop_assert!(is_b64token(token));
            }
        }
    }
}
