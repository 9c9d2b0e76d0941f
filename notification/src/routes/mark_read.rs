//! `POST /notifications/{id}/read`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::problem::{Code, Problem};
use contracts::EventId;

use crate::app::State;
use crate::store;

/// Marks a notification as read. Again is as good as once.
#[utoipa::path(
    tag = "notifications",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The notification")),
    responses(
        (status = 204, description = "It is marked as read"),
    ),
)]
#[post("/notifications/{id}/read")]
pub(super) async fn mark_read(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id: EventId = path.parse().map_err(|_no_id: uuid::Error| not_found())?;
    let mut conn = state.pool.get().await?;
    if store::mark_read(&mut conn, id, caller.user_id, clock::now()).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(not_found())
    }
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound).detail("there is no such notification")
}
