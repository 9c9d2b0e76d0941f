//! Looking.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::auth::AdminPrincipal;
use chassis::etag;
use chassis::page::{self, List as PagedList, Page};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use messaging::operations::{Filter, Operations, Stats, Status};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{id, problem, view};

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DeadLetterState)]
pub(crate) enum State {
    Open,
    Replaying,
    Replayed,
    Discarded,
    Superseded,
    Obsolete,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
            Self::Superseded => "superseded",
            Self::Obsolete => "obsolete",
        }
    }
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(crate) struct List {
    /// Only those in this state.
    state: Option<State>,
    /// Only those that died of this.
    fingerprint: Option<String>,
    /// Only those with this Kafka key.
    key: Option<String>,
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    #[param(min_length = 1)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(crate) struct Audit {
    /// Only entries before this one.
    before: Option<i64>,
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Dead letters, the youngest first.
#[utoipa::path(get, path = "/dead-letters", tag = "operations", security(("bearer" = [])), params(List),
    responses((status = 200, description = "A page of letters", body = Page<view::Summary>)))]
pub(crate) async fn list(
    AdminPrincipal(admin): AdminPrincipal,
    operations: Data<Operations>,
    query: Query<List>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let limit = page::limit(query.limit);
    let list = PagedList::of(&request, admin.user_id)?;
    let after: Option<Uuid> = list.position(query.cursor.as_deref())?;
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
    let page = list.page(letters, limit, |letter| letter.id)?;
    Ok(page.map(|letter| view::Summary::from(&letter)).respond(&request))
}

/// Open dead letters by what they died of.
#[utoipa::path(get, path = "/dead-letters/groups", tag = "operations", security(("bearer" = [])),
    responses((status = 200, description = "The groups", body = view::Groups)))]
pub(crate) async fn groups(_: AdminPrincipal, operations: Data<Operations>) -> Result<HttpResponse, Problem> {
    let groups = operations.groups().await.map_err(problem)?;
    let items = groups.into_iter().map(view::shaped).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(view::Groups { items }))
}

/// One dead letter with its payload, headers, origin and history.
#[utoipa::path(get, path = "/dead-letters/{id}", tag = "operations", security(("bearer" = [])),
    params(("id" = Uuid, Path), ("If-None-Match" = Option<String>, Header, description = "An `ETag` seen before")),
    responses(
        (status = 200, description = "The letter", body = view::Whole, headers(("ETag" = String))),
        (status = 304, description = "It is as it was"),
    ))]
pub(crate) async fn inspect(
    _: AdminPrincipal,
    operations: Data<Operations>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let id = id(&path)?;
    let letter = operations.letter(id).await.map_err(problem)?;
    let history = operations.audit(Some(id), None, 100).await.map_err(problem)?;
    let history = history.into_iter().map(view::shaped).collect::<Result<_, _>>()?;
    let version = letter.updated_at.timestamp_micros();
    Ok(etag::respond(
        &request,
        version,
        &view::Whole::new(letter, history),
    ))
}

/// Who did what, when, why, before and after.
#[utoipa::path(get, path = "/dead-letters/audit", tag = "operations", security(("bearer" = [])), params(Audit),
    responses((status = 200, description = "A page of the audit, the youngest first", body = Page<view::AuditEntry>)))]
pub(crate) async fn audit(
    AdminPrincipal(admin): AdminPrincipal,
    operations: Data<Operations>,
    query: Query<Audit>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let limit = page::limit(query.limit);
    let list = PagedList::of(&request, admin.user_id)?;
    let after: Option<i64> = list.position(query.cursor.as_deref())?;
    let before = after.into_iter().chain(query.before).min();
    let entries = audit_entries(&operations, before, i64::from(limit) + 1).await?;
    Ok(list.page(entries, limit, |entry| entry.id)?.respond(&request))
}

/// Entries of a service's own audit, the youngest first, before the entry `before`.
///
/// # Errors
/// A [`Problem`] when the database would not tell.
pub async fn audit_entries(
    operations: &Operations,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<view::AuditEntry>, Problem> {
    let entries = operations.audit(None, before, limit).await.map_err(problem)?;
    entries.into_iter().map(view::shaped).collect()
}

/// How the service's events stand.
#[utoipa::path(get, path = "/events/status", tag = "operations", security(("bearer" = [])),
    responses((status = 200, description = "Broker, topics, lag, backlog, breaker", body = Status)))]
pub(crate) async fn status(_: AdminPrincipal, operations: Data<Operations>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(operations.status().await))
}

/// Counts since this process started, and totals.
#[utoipa::path(get, path = "/events/stats", tag = "operations", security(("bearer" = [])),
    responses((status = 200, description = "The counts", body = Stats)))]
pub(crate) async fn stats(_: AdminPrincipal, operations: Data<Operations>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(operations.stats().await.map_err(problem)?))
}
