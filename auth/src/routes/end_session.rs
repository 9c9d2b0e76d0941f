//! `DELETE /auth/sessions/{id}`

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::auth::Principal;
use chassis::problem::{Code, Problem};
use contracts::UserId;
use contracts::events::RevocationReason;
use diesel_async::AsyncConnection;
use uuid::Uuid;

use super::caller;
use crate::app::{State, context};
use crate::store::{self, Conn, StoreError};

/// What became of it.
enum Outcome {
    Ended,
    EndedBefore,
    NotTheirs,
}

/// Ends one login of the caller, perhaps this one. Another's is not there.
#[utoipa::path(
    delete, path = "/auth/sessions/{id}", tag = "auth",
    security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The login's id")),
    responses(
        (status = 204, description = "The login is over"),
        (status = 404, description = "The caller has no such login"),
    ),
)]
pub(crate) async fn end_session(
    state: Data<State>,
    principal: Principal,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let session_id = path.into_inner();
    let mut connection = state.connection().await?;
    caller::account(&mut connection, &principal).await?;
    let outcome = connection
        .transaction::<Outcome, StoreError, _>(async |conn| end(conn, principal.user_id, session_id).await)
        .await?;
    match outcome {
        Outcome::NotTheirs => return Err(Problem::new(Code::NotFound)),
        Outcome::EndedBefore => {}
        Outcome::Ended => {
            state.signals.committed();
            tracing::info!(user.id = %principal.user_id, session.id = %session_id, "login ended");
        }
    }
    Ok(HttpResponse::NoContent().finish())
}

async fn end(conn: &mut Conn, user_id: UserId, session_id: Uuid) -> Result<Outcome, StoreError> {
    let Some(session) = store::sessions::lock_of(conn, user_id, session_id).await? else {
        return Ok(Outcome::NotTheirs);
    };
    if session.ended {
        return Ok(Outcome::EndedBefore);
    }
    let (reason, context) = (RevocationReason::Logout, context());
    store::sessions::end(conn, session_id, reason, context.now).await?;
    if let Some(user) = store::users::lock(conn, user_id).await? {
        store::users::save(conn, &user.revoking(Some(session_id), reason, &context), &context).await?;
    }
    Ok(Outcome::Ended)
}
