//! `POST /auth/refresh`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::json::Json;
use chassis::problem::{Code, Problem, ProblemBody};
use contracts::Context;
use contracts::events::RevocationReason;
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::token_response::{self, TokenResponse};
use crate::app::{State, context};
use crate::config::SessionSettings;
use crate::crypto::RefreshToken;
use crate::domain::User;
use crate::domain::session::{Refresh, Session};
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
    Refreshed {
        session: Session,
        user: User,
        token: RefreshToken,
        context: Context,
    },
    Reused {
        session: Session,
    },
    Refused,
}

/// Exchanges a refresh token for a new pair.
///
/// Each token is good for one refresh. One that comes back after its successor was used ends the login: it is
/// in two hands. A client that missed the answer may send its token again at once.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "A new pair of tokens", body = TokenResponse),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "The token does not hold", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not declared as JSON", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 422, description = "Missing or unknown member", body = ProblemBody,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn refresh(
    state: Data<State>,
    Json(request): Json<RefreshRequest>,
) -> Result<HttpResponse, Problem> {
    let presented = RefreshToken::received(request.refresh_token);
    let mut connection = state.connection().await?;
    let outcome = connection
        .transaction::<Outcome, StoreError, _>(async |conn| exchange(conn, &state.session, &presented).await)
        .await?;
    match outcome {
        Outcome::Refreshed {
            session,
            user,
            token,
            context,
        } => token_response::respond(&state, &user, session.id, token, &context),
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
        Outcome::Refused => Err(Problem::new(Code::InvalidRefreshToken)),
    }
}

async fn exchange(
    conn: &mut Conn,
    settings: &SessionSettings,
    presented: &RefreshToken,
) -> Result<Outcome, StoreError> {
    let Some((session, token)) = store::sessions::lock_by_token(conn, presented).await? else {
        return Ok(Outcome::Refused);
    };
    let context = context();
    match session.refresh(token, context.now, settings.retry_grace()) {
        Refresh::Over => Ok(Outcome::Refused),
        Refresh::Reuse => {
            end_family(conn, &session, &context).await?;
            Ok(Outcome::Reused { session })
        }
        Refresh::Rotate { generation } | Refresh::Retry { generation } => {
            let user = store::users::by_id(conn, session.user_id).await?;
            let Some(user) = user.filter(|user| !user.disabled) else {
                return Ok(Outcome::Refused);
            };
            let token = RefreshToken::generate();
            let expires_at = context.now + settings.refresh_ttl();
            store::sessions::replace_token(conn, session.id, generation, &token, context.now, expires_at)
                .await?;
            Ok(Outcome::Refreshed {
                session,
                user,
                token,
                context,
            })
        }
    }
}

async fn end_family(conn: &mut Conn, session: &Session, context: &Context) -> Result<(), StoreError> {
    let reason = RevocationReason::TokenReuse;
    store::sessions::end(conn, session.id, reason, context.now).await?;
    if let Some(user) = store::users::lock(conn, session.user_id).await? {
        store::users::save(conn, &user.revoking(Some(session.id), reason, context), context).await?;
    }
    Ok(())
}
