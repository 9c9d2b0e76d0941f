//! `POST /auth/login`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::clock;
use chassis::json::Json;
use chassis::problem::{Code, Problem, ProblemBody};
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::token_response::{self, TokenResponse};
use crate::app::State;
use crate::crypto::{PasswordHash, RefreshToken};
use crate::domain::{EmailAddress, Session, User};
use crate::store::{self, StoreError};

/// Who wants in. Nothing is said about what is wrong with it: to say that an address or a password cannot be
/// is to say something about accounts.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    /// The account's e-mail address.
    #[garde(skip)]
    #[schema(format = "email", example = "ada@example.org")]
    email: String,
    /// Its password.
    #[garde(skip)]
    #[schema(value_type = String, format = "password")]
    password: SecretString,
}

/// Begins a login.
#[utoipa::path(
    post, path = "/auth/login", tag = "auth",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "A pair of tokens", body = TokenResponse),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "E-mail or password is wrong, or the account is disabled", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not declared as JSON", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 422, description = "Missing or unknown member", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts; see Retry-After", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 503, description = "Too much to do; see Retry-After", body = ProblemBody,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn login(
    state: Data<State>,
    Json(request): Json<LoginRequest>,
) -> Result<HttpResponse, Problem> {
    let (user, hash) = find(&state, &request.email).await?.unzip();
    let matches = state.hasher.verify(request.password, hash).await?;
    // A disabled account answers as a wrong password does, after the same time.
    let user = user.filter(|user| matches && !user.disabled);
    let Some(user) = user else {
        return Err(Problem::new(Code::InvalidCredentials));
    };
    let now = clock::now();
    let session = Session::begin(clock::new_id(), user.id, now, state.session.refresh_ttl());
    let token = RefreshToken::generate();
    let mut connection = state.connection().await?;
    connection
        .transaction::<(), StoreError, _>(async |conn| {
            store::sessions::begin(conn, &session, &token, now).await
        })
        .await?;
    tracing::info!(user.id = %user.id, session.id = %session.id, "login");
    token_response::respond(&state, (user.id, user.role), session.id, token, now)
}

/// The connection is given back before the password is hashed: that takes longer than any query.
async fn find(state: &State, email: &str) -> Result<Option<(User, PasswordHash)>, Problem> {
    let Ok(email) = EmailAddress::parse(email) else {
        return Ok(None);
    };
    let mut connection = state.connection().await?;
    Ok(store::users::by_email(&mut connection, &email).await?)
}
