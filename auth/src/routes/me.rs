//! `GET /auth/me`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::auth::Principal;
use chassis::problem::Problem;

use super::caller;
use super::user_view::UserView;
use crate::app::State;

/// The caller's own account.
#[utoipa::path(
    get, path = "/auth/me", tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account", body = UserView),
    ),
)]
pub(crate) async fn me(state: Data<State>, principal: Principal) -> Result<HttpResponse, Problem> {
    let mut connection = state.connection().await?;
    let (user, _hash) = caller::account(&mut connection, &principal).await?;
    Ok(HttpResponse::Ok().json(UserView::from(user)))
}
