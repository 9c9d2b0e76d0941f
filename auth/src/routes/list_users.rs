//! `GET /auth/users`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chassis::auth::AdminPrincipal;
use chassis::page::{self, List, Page};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::caller;
use super::user_view::UserView;
use crate::app::State;
use crate::store;

/// Which part of the list.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUsers {
    /// Users a page; 20 by default.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// All users, the newest first.
#[utoipa::path(
    get, path = "/auth/users", tag = "users",
    security(("bearer" = [])),
    params(ListUsers),
    responses(
        (status = 200, description = "A page of users", body = Page<UserView>),
        (status = 403, description = "Not an admin"),
    ),
)]
pub(crate) async fn list_users(
    state: Data<State>,
    AdminPrincipal(admin): AdminPrincipal,
    Query(query): Query<ListUsers>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, admin.user_id)?;
    let after: Option<Uuid> = list.position(query.cursor.as_deref())?;
    let limit = page::limit(query.limit);
    let mut connection = state.connection().await?;
    caller::admin(&mut connection, &admin).await?;
    let users = store::users::list(&mut connection, after, i64::from(limit).saturating_add(1)).await?;
    let page = list.page(users, limit, |user| user.id.uuid())?;
    Ok(page.map(UserView::from).respond(&request))
}
