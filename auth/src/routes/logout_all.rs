//! `POST /auth/logout-all`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::auth::Principal;
use chassis::problem::Problem;
use contracts::UserId;
use contracts::events::RevocationReason;
use diesel_async::AsyncConnection;

use super::caller;
use crate::app::{State, context};
use crate::store::{self, Conn, StoreError};

/// Ends every login of the caller, this one too.
#[utoipa::path(
    post, path = "/auth/logout-all", tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 204, description = "Every login is over"),
    ),
)]
pub(crate) async fn logout_all(state: Data<State>, principal: Principal) -> Result<HttpResponse, Problem> {
    let mut connection = state.connection().await?;
    caller::account(&mut connection, &principal).await?;
    connection
        .transaction::<(), StoreError, _>(async |conn| end(conn, principal.user_id).await)
        .await?;
    state.signals.committed();
    tracing::info!(user.id = %principal.user_id, "logout everywhere");
    Ok(HttpResponse::NoContent().finish())
}

async fn end(conn: &mut Conn, user_id: UserId) -> Result<(), StoreError> {
    let reason = RevocationReason::Logout;
    store::sessions::lock_all(conn, user_id).await?;
    if let Some(user) = store::users::lock(conn, user_id).await? {
        let context = context();
        store::sessions::end_all(conn, user_id, reason, context.now).await?;
        store::users::save(conn, &user.revoking(None, reason, &context), &context).await?;
    }
    Ok(())
}
