//! `GET /auth/me`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::auth::Principal;
use chassis::problem::{Code, Problem, ProblemBody};

use super::user_view::UserView;
use crate::app::State;
use crate::store;

/// The caller's own account.
#[utoipa::path(
    get, path = "/auth/me", tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account", body = UserView),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn me(state: Data<State>, caller: Principal) -> Result<HttpResponse, Problem> {
    let mut connection = state.connection().await?;
    let user = store::users::by_id(&mut connection, caller.user_id).await?;
    match user.filter(|user| !user.disabled) {
        Some(user) => Ok(HttpResponse::Ok().json(UserView::from(user))),
        // The token outlives its account by some minutes.
        None => Err(Problem::new(Code::Unauthenticated).detail("the account is gone or disabled")),
    }
}
