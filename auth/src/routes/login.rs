//! `POST /auth/login`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chassis::clock;
use chassis::json::Json;
use chassis::problem::{Code, Problem};
use contracts::{Context, UserId};
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::guess;
use super::token_response::{self, TokenResponse};
use crate::app::{State, context};
use crate::crypto::{PasswordHash, Place, RefreshToken};
use crate::domain::{EmailAddress, Session, User};
use crate::store::{self, Conn, StoreError};
use crate::throttle::Attempt;

/// Who wants in. Nothing is said about what is wrong with it: to say that an address or a password cannot be
/// is to say something about accounts.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "password": "correct horse battery"}))]
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
        (status = 401, description = "E-mail or password is wrong, or the account is disabled"),
        (status = 429, description = "Too many failed attempts, whatever the password; see Retry-After"),
        (status = 503, description = "Too much to do, or not done in time; see Retry-After"),
    ),
)]
pub(crate) async fn login(
    state: Data<State>,
    request: HttpRequest,
    Json(body): Json<LoginRequest>,
) -> Result<HttpResponse, Problem> {
    let place = state.hasher.place()?;
    place.within(log_in(&state, &place, &request, body)).await?
}

async fn log_in(
    state: &State,
    place: &Place,
    request: &HttpRequest,
    body: LoginRequest,
) -> Result<HttpResponse, Problem> {
    let (attempt, found) = admit(state, &body.email, request).await?;
    // A disabled account answers as one that is not there, with the right password too.
    let (user, hash) = found.unzip();
    let hash = hash.filter(|_| user.as_ref().is_some_and(|user| !user.disabled));
    let verdict = guess::judge(state, place, attempt, body.password, hash.clone()).await?;
    let (Some((attempt, rehashed)), Some(user), Some(hash)) = (verdict, &user, hash) else {
        return Err(refused(user.as_ref()));
    };
    let token = RefreshToken::generate();
    let begun = state.bulkhead.run(async |conn| {
        let begun = conn
            .transaction::<Option<Begun>, StoreError, _>(async |conn| {
                begin(conn, state, user.id, &token, (&hash, rehashed.as_ref())).await
            })
            .await?;
        if begun.is_some() {
            attempt.succeeded(conn).await?;
        }
        Ok(begun)
    });
    let Some(Begun {
        user,
        session_id,
        context,
    }) = begun.await?
    else {
        state.metrics.failed_logins.inc();
        return Err(refused(Some(user)));
    };
    tracing::info!(user.id = %user.id, session.id = %session_id, "login");
    let body = token_response::body(state, &user, session_id, &token, &context).map_err(Problem::internal)?;
    Ok(token_response::respond(&body))
}

/// Every refusal is the same to the client; the log says which account it was, if there is one.
fn refused(user: Option<&User>) -> Problem {
    let user_id = user.map(|user| user.id.to_string());
    tracing::info!(
        security.event = "login_failed",
        user.id = user_id,
        "login refused"
    );
    Problem::new(Code::InvalidCredentials)
}

/// The connection is given back before the password is hashed: that takes longer than any query.
async fn admit(
    state: &State,
    email: &str,
    request: &HttpRequest,
) -> Result<(Attempt, Option<(User, PasswordHash)>), Problem> {
    let admitted = state.bulkhead.run(async |conn| {
        let attempt = state.throttle.admit(conn, email, request).await?;
        let found = match EmailAddress::parse(email) {
            Ok(email) => store::users::by_email(conn, &email).await?,
            Err(_) => None,
        };
        Ok((attempt, found))
    });
    admitted.await
}

/// A login that was stored.
struct Begun {
    user: User,
    session_id: Uuid,
    context: Context,
}

/// Stores the login, if the account still is what it was when the password was compared: not disabled meanwhile, and
/// with the same password.
async fn begin(
    conn: &mut Conn,
    state: &State,
    user_id: UserId,
    token: &RefreshToken,
    (hash, rehashed): (&PasswordHash, Option<&PasswordHash>),
) -> Result<Option<Begun>, StoreError> {
    let locked = store::users::lock_with_hash(conn, user_id).await?;
    let Some((user, _same)) = locked.filter(|(user, current)| !user.disabled && current == hash) else {
        return Ok(None);
    };
    let context = context();
    let session = Session::begin(clock::new_id(), user_id, context.now, state.session.refresh_ttl());
    store::sessions::begin(conn, &session, token, context.now).await?;
    if let Some(rehashed) = rehashed {
        store::users::set_password(conn, user.id, rehashed, user.updated_at).await?;
        tracing::info!(user.id = %user.id, "password hashed with the parameters of today");
    }
    Ok(Some(Begun {
        user,
        session_id: session.id,
        context,
    }))
}
