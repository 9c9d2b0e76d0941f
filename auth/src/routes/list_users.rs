//! `GET /auth/users`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chassis::auth::AdminPrincipal;
use chassis::page::{self, List, Page};
use chassis::problem::{Code, Problem};
use chassis::query::Query;
use chrono::{DateTime, Utc};
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::caller;
use super::user_view::{RoleView, UserView};
use crate::app::State;
use crate::domain::{EmailAddress, Role};
use crate::store;
use crate::store::users::UserFilter;

/// Ids that one request may name.
const IDS_MAX: usize = 100;

/// Which users.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUsers {
    /// Only the one with this e-mail address, in whatever form it is written.
    #[garde(skip)]
    #[param(example = "ada@example.org")]
    email: Option<String>,
    /// Only those with these ids, separated by commas, 100 at most.
    #[garde(skip)]
    #[param(
        pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(,[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}){0,99}$"
    )]
    ids: Option<String>,
    /// Only those with this role.
    #[garde(skip)]
    role: Option<RoleView>,
    /// Only those who are kept out, or who are not.
    #[garde(skip)]
    disabled: Option<bool>,
    /// Only those who registered at this time or later.
    #[garde(skip)]
    from: Option<DateTime<Utc>>,
    /// Only those who registered before this time.
    #[garde(skip)]
    to: Option<DateTime<Utc>>,
    /// Users a page; 20 by default.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    #[param(min_length = 1)]
    cursor: Option<String>,
}

impl ListUsers {
    /// None when nobody can be meant: no user has an e-mail address that is none.
    fn filter(&self, before: Option<Uuid>) -> Result<Option<UserFilter>, Problem> {
        let email = match self.email.as_deref().map(EmailAddress::parse) {
            Some(Err(_none)) => return Ok(None),
            Some(Ok(email)) => Some(email),
            None => None,
        };
        Ok(Some(UserFilter {
            email,
            ids: self.ids.as_deref().map(ids).transpose()?,
            role: self.role.map(Role::from),
            disabled: self.disabled,
            from: self.from,
            to: self.to,
            before,
        }))
    }
}

fn ids(text: &str) -> Result<Vec<Uuid>, Problem> {
    let refused = |why| Problem::new(Code::InvalidQuery).detail(why);
    let ids: Result<Vec<Uuid>, _> = text.split(',').map(str::parse).collect();
    let ids = ids.map_err(|_none: uuid::Error| refused("ids must be UUIDs, separated by commas"))?;
    if ids.len() > IDS_MAX {
        return Err(refused("ids must name at most 100 users"));
    }
    Ok(ids)
}

/// All users, the newest first.
#[utoipa::path(
    get, path = "/auth/users", tag = "users",
    security(("bearer" = [])),
    params(ListUsers),
    responses(
        (status = 200, description = "A page of users", body = Page<UserView>),
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
    let users = match query.filter(after)? {
        Some(filter) => {
            store::users::list(&mut connection, &filter, i64::from(limit).saturating_add(1)).await?
        }
        None => Vec::new(),
    };
    let page = list.page(users, limit, |user| user.id.uuid())?;
    Ok(page.map(UserView::from).respond(&request))
}
