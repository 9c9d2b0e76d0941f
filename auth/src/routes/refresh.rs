//! `POST /auth/refresh`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::json::Json;
use chassis::problem::{Code, Problem};
use contracts::Context;
use contracts::events::RevocationReason;
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::token_response::{self, TokenResponse};
use crate::app::{State, context};
use crate::crypto::RefreshToken;
use crate::domain::User;
use crate::domain::session::{Refresh, Session};
use crate::store::sessions::Successor;
use crate::store::{self, Conn, StoreError};

/// The token of the last login or refresh.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "q2Zk3m0c1eJ7y5uV9xT4bN8aR6sD1fG0hL2pW5oK3iE"}))]
pub(crate) struct RefreshRequest {
    /// Good for one refresh.
    #[garde(skip)]
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

/// What became of it.
enum Outcome {
    /// A new pair, or the same one again.
    Answered {
        body: SecretString,
    },
    /// It was given an answer that this replica cannot open: another one knows a newer key-encryption key.
    Sealed,
    Reused {
        session: Session,
    },
    Refused,
}

/// Exchanges a refresh token for a new pair.
///
/// Each token has one successor. Whoever sends it again within `session.retry_grace_s` (60 s), because the answer was
/// lost or another tab was first, gets the same answer again. One that comes back later, or after its successor was used,
/// is in two hands and ends the login.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The token's one successor and an access token; the same ones again when it is repeated within the grace", body = TokenResponse),
        (status = 401, description = "The token does not hold"),
    ),
)]
pub(crate) async fn refresh(
    state: Data<State>,
    Json(request): Json<RefreshRequest>,
) -> Result<HttpResponse, Problem> {
    let presented = RefreshToken::received(request.refresh_token);
    let mut connection = state.connection().await?;
    let outcome = connection
        .transaction::<Outcome, StoreError, _>(async |conn| exchange(conn, &state, &presented).await)
        .await?;
    match outcome {
        Outcome::Answered { body } => Ok(token_response::respond(&body)),
        Outcome::Reused { session } => {
            state.signals.committed();
            state.metrics.token_reuse.inc();
            tracing::warn!(
                security.event = "refresh_token_reuse",
                user.id = %session.user_id,
                session.id = %session.id,
                "spent refresh token used again, the login is ended"
            );
            Err(Problem::new(Code::InvalidRefreshToken))
        }
        Outcome::Sealed => Err(Problem::unavailable(anyhow::anyhow!(
            "the answer to a refresh is sealed with another key-encryption key"
        ))),
        Outcome::Refused => Err(Problem::new(Code::InvalidRefreshToken)),
    }
}

async fn exchange(conn: &mut Conn, state: &State, presented: &RefreshToken) -> Result<Outcome, StoreError> {
    let Some((session, token)) = store::sessions::lock_by_token(conn, presented).await? else {
        return Ok(Outcome::Refused);
    };
    let context = context();
    match session.refresh(token, context.now, state.session.retry_grace()) {
        Refresh::Over => Ok(Outcome::Refused),
        Refresh::Reuse => {
            end_family(conn, &session, &context).await?;
            Ok(Outcome::Reused { session })
        }
        Refresh::Rotate { generation } => match active_user(conn, &session).await? {
            Some(user) => {
                let next = Next {
                    session_id: session.id,
                    generation,
                    user,
                };
                rotate(conn, state, presented, &next, &context).await
            }
            None => Ok(Outcome::Refused),
        },
        Refresh::Repeat => match active_user(conn, &session).await? {
            Some(_) => repeat(conn, state, presented).await,
            None => Ok(Outcome::Refused),
        },
    }
}

async fn active_user(conn: &mut Conn, session: &Session) -> Result<Option<User>, StoreError> {
    let user = store::users::by_id(conn, session.user_id).await?;
    Ok(user.filter(|user| !user.disabled))
}

/// Whose next token, and which.
struct Next {
    session_id: Uuid,
    generation: i32,
    user: User,
}

/// Makes the token's one successor, and keeps the answer for whoever repeats the request.
async fn rotate(
    conn: &mut Conn,
    state: &State,
    presented: &RefreshToken,
    next: &Next,
    context: &Context,
) -> Result<Outcome, StoreError> {
    let token = RefreshToken::generate();
    let body = token_response::body(state, &next.user, next.session_id, &token, context)
        .map_err(StoreError::Making)?;
    let sealed = state.answers.seal(presented, &body).map_err(StoreError::Making)?;
    let successor = Successor {
        token: &token,
        generation: next.generation,
        expires_at: context.now + state.session.refresh_ttl(),
        sealed_answer: &sealed,
    };
    store::sessions::replace_token(conn, next.session_id, &successor, context.now).await?;
    Ok(Outcome::Answered { body })
}

async fn repeat(conn: &mut Conn, state: &State, presented: &RefreshToken) -> Result<Outcome, StoreError> {
    // None is kept of a token that a replica of an earlier release exchanged.
    let Some(sealed) = store::sessions::sealed_answer(conn, presented).await? else {
        return Ok(Outcome::Refused);
    };
    Ok(match state.answers.open(presented, &sealed) {
        Some(body) => Outcome::Answered { body },
        None => Outcome::Sealed,
    })
}

async fn end_family(conn: &mut Conn, session: &Session, context: &Context) -> Result<(), StoreError> {
    let reason = RevocationReason::TokenReuse;
    store::sessions::end(conn, session.id, reason, context.now).await?;
    if let Some(user) = store::users::lock(conn, session.user_id).await? {
        store::users::save(conn, &user.revoking(Some(session.id), reason, context), context).await?;
    }
    Ok(())
}
