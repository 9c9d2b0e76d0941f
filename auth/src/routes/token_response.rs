//! What login and refresh answer.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA};
use contracts::Context;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::State;
use crate::crypto::{RefreshToken, TokenGrant};
use crate::domain::User;

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenResponse {
    /// Send it as `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Life of the access token, in seconds.
    #[schema(example = 900)]
    expires_in: u32,
    /// Good for one refresh.
    refresh_token: String,
    /// Life of the refresh token, in seconds.
    #[schema(example = 2_592_000)]
    refresh_expires_in: u32,
}

/// An access token for the login and its new refresh token, as JSON. The access token is from the moment of `context`,
/// when the login was locked: a revocation, which waits for that lock, is after it.
pub(crate) fn body(
    state: &State,
    user: &User,
    session_id: Uuid,
    refresh_token: &RefreshToken,
    context: &Context,
) -> anyhow::Result<SecretString> {
    let grant = TokenGrant {
        user_id: user.id,
        session_id,
        role: user.role,
        token_id: context.fresh_id,
        now: context.now,
    };
    let signer = state
        .keys
        .signer(context.now)
        .ok_or_else(|| anyhow::anyhow!("there is no signing key"))?;
    let body = TokenResponse {
        access_token: state.issuer.issue(&signer, grant)?,
        token_type: "Bearer",
        expires_in: state.session.access_ttl_s,
        refresh_token: refresh_token.expose().to_owned(),
        refresh_expires_in: state.session.refresh_ttl_s,
    };
    Ok(serde_json::to_string(&body)?.into())
}

/// 200 with such a body.
pub(crate) fn respond(body: &SecretString) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .content_type("application/json")
        .body(body.expose_secret().to_owned())
}
