//! Looking.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::auth::AdminPrincipal;
use chassis::page::{self, Cursor, Page};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use messaging::operations::{Filter, Operations};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{id, problem, view};

#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Open,
    Replaying,
    Replayed,
    Discarded,
    Superseded,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
            Self::Superseded => "superseded",
        }
    }
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(crate) struct List {
    state: Option<State>,
    fingerprint: Option<String>,
    key: Option<String>,
    limit: Option<u16>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(crate) struct Paging {
    limit: Option<u16>,
    cursor: Option<String>,
}

/// Dead letters, the youngest first.
#[utoipa::path(get, path = "/dead-letters", tag = "operations", security(("bearer" = [])), params(List),
    responses((status = 200, description = "A page of letters")))]
pub(crate) async fn list(
    _: AdminPrincipal,
    operations: Data<Operations>,
    query: Query<List>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let limit = page::limit(query.limit);
    let after: Option<Uuid> = query.cursor.as_deref().map(Cursor::position).transpose()?;
    let filter = Filter {
        fingerprint: query.fingerprint,
        key: query.key,
        name: None,
    };
    let letters = operations
        .letters(
            query.state.map(State::as_str),
            &filter,
            after,
            i64::from(limit) + 1,
        )
        .await
        .map_err(problem)?;
    let page = Page::from_rows(letters, limit, |letter| letter.id)?;
    Ok(page.map(|letter| view::summary(&letter)).respond(&request))
}

/// Open dead letters by what they died of.
#[utoipa::path(get, path = "/dead-letters/groups", tag = "operations", security(("bearer" = [])),
    responses((status = 200, description = "The groups, the largest first")))]
pub(crate) async fn groups(_: AdminPrincipal, operations: Data<Operations>) -> Result<HttpResponse, Problem> {
    let groups = operations.groups().await.map_err(problem)?;
    Ok(HttpResponse::Ok().json(json!({ "items": groups })))
}

/// One dead letter with its payload, headers, origin and history.
#[utoipa::path(get, path = "/dead-letters/{id}", tag = "operations", security(("bearer" = [])),
    params(("id" = String, Path)), responses((status = 200, description = "The letter")))]
pub(crate) async fn inspect(
    _: AdminPrincipal,
    operations: Data<Operations>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = id(&path)?;
    let letter = operations.letter(id).await.map_err(problem)?;
    let history = operations.audit(Some(id), None, 100).await.map_err(problem)?;
    Ok(HttpResponse::Ok().json(view::whole(&letter, history)))
}

/// Who did what, when, why, before and after.
#[utoipa::path(get, path = "/dead-letters/audit", tag = "operations", security(("bearer" = [])), params(Paging),
    responses((status = 200, description = "A page of the audit, the youngest first")))]
pub(crate) async fn audit(
    _: AdminPrincipal,
    operations: Data<Operations>,
    query: Query<Paging>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let limit = page::limit(query.limit);
    let before: Option<i64> = query.cursor.as_deref().map(Cursor::position).transpose()?;
    let rows = operations
        .audit(None, before, i64::from(limit) + 1)
        .await
        .map_err(problem)?;
    let position = |row: &Value| row.get("id").and_then(Value::as_i64);
    Ok(Page::from_rows(rows, limit, position)?.respond(&request))
}

/// How the service's events stand.
#[utoipa::path(get, path = "/events/status", tag = "operations", security(("bearer" = [])),
    responses((status = 200, description = "Broker, topics, lag, backlog, breaker")))]
pub(crate) async fn status(_: AdminPrincipal, operations: Data<Operations>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(operations.status().await.map_err(problem)?))
}

/// Counts since this process started, and totals.
#[utoipa::path(get, path = "/events/stats", tag = "operations", security(("bearer" = [])),
    responses((status = 200, description = "The counts")))]
pub(crate) async fn stats(_: AdminPrincipal, operations: Data<Operations>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(operations.stats().await.map_err(problem)?))
}
