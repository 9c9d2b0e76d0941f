//! `GET /auth/sessions`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chassis::auth::Principal;
use chassis::clock;
use chassis::page::{self, List, Page};
use chassis::problem::Problem;
use chassis::query::Query;
use chrono::{DateTime, Utc};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::caller;
use crate::app::State;
use crate::store;
use crate::store::sessions::LiveSession;

/// Which part of the list.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSessions {
    /// Logins a page; 20 by default.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    cursor: Option<String>,
}

/// A login that has not ended. Where it came from is not kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// Its id, `sid` in access tokens.
    id: Uuid,
    /// When it began.
    created_at: DateTime<Utc>,
    /// When its tokens were last renewed.
    refreshed_at: DateTime<Utc>,
    /// When it ends by itself unless they are renewed again.
    expires_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    current: bool,
}

/// The caller's logins that have not ended, the newest first.
#[utoipa::path(
    get, path = "/auth/sessions", tag = "auth",
    security(("bearer" = [])),
    params(ListSessions),
    responses(
        (status = 200, description = "A page of logins", body = Page<SessionView>),
    ),
)]
pub(crate) async fn list_sessions(
    state: Data<State>,
    principal: Principal,
    Query(query): Query<ListSessions>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, principal.user_id)?;
    let after: Option<Uuid> = list.position(query.cursor.as_deref())?;
    let limit = page::limit(query.limit);
    let mut connection = state.connection().await?;
    let (user, _hash) = caller::account(&mut connection, &principal).await?;
    let rows = i64::from(limit).saturating_add(1);
    let sessions = store::sessions::live(&mut connection, user.id, clock::now(), after, rows).await?;
    let page = list.page(sessions, limit, |session| session.id)?;
    let page = page.map(|session| view(session, principal.session_id));
    Ok(page.respond(&request))
}

fn view(session: LiveSession, current: Uuid) -> SessionView {
    SessionView {
        id: session.id,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        expires_at: session.expires_at,
        current: session.id == current,
    }
}
