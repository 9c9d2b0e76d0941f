//! `POST /auth/logout`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::json::Json;
use chassis::problem::Problem;
use contracts::events::RevocationReason;
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::{State, context};
use crate::crypto::RefreshToken;
use crate::store::{self, Conn, StoreError};

/// The login to end, by its refresh token.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "q2Zk3m0c1eJ7y5uV9xT4bN8aR6sD1fG0hL2pW5oK3iE"}))]
pub(crate) struct LogoutRequest {
    /// Any refresh token of the login, spent ones too.
    #[garde(skip)]
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

/// Ends a login. A token that nobody has gets the same answer: there is nothing left to end.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth",
    request_body = LogoutRequest,
    responses(
        (status = 204, description = "The login is over"),
    ),
)]
pub(crate) async fn logout(
    state: Data<State>,
    Json(request): Json<LogoutRequest>,
) -> Result<HttpResponse, Problem> {
    let presented = RefreshToken::received(request.refresh_token);
    let mut connection = state.connection().await?;
    let ended = connection
        .transaction::<bool, StoreError, _>(async |conn| end(conn, &presented).await)
        .await?;
    if ended {
        state.signals.committed();
    }
    Ok(HttpResponse::NoContent().finish())
}

async fn end(conn: &mut Conn, presented: &RefreshToken) -> Result<bool, StoreError> {
    let Some((session, _token)) = store::sessions::lock_by_token(conn, presented).await? else {
        return Ok(false);
    };
    if session.ended {
        return Ok(false);
    }
    let (reason, context) = (RevocationReason::Logout, context());
    store::sessions::end(conn, session.id, reason, context.now).await?;
    if let Some(user) = store::users::lock(conn, session.user_id).await? {
        store::users::save(conn, &user.revoking(Some(session.id), reason, &context), &context).await?;
    }
    tracing::info!(user.id = %session.user_id, session.id = %session.id, "logout");
    Ok(true)
}
