//! Looking.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::auth::AdminPrincipal;
use chassis::etag;
use chassis::page::{self, List as PagedList, Page};
use chassis::problem::Problem;
use chassis::query::Query;
use chrono::{DateTime, Utc};
use garde::Validate;
use messaging::operations::{LetterQuery, Operations, Stats, Status};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{id, problem, view};

/// What has become of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for an operator.
    Open,
    /// It has been sent round, and has not come to its end.
    Replaying,
    /// A replay has succeeded.
    Replayed,
    /// An operator has given it up.
    Discarded,
    /// An edited letter has taken its place.
    Superseded,
    /// Its purpose is gone.
    Obsolete,
}

impl State {
    /// Its name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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

/// Which dead letters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[into_params(parameter_in = Query)]
pub struct Letters {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this topic or action; an action is of the topic, too, that asked for it.
    #[param(example = "order.created")]
    pub topic: Option<String>,
    /// Only those that died of an error of this class.
    #[param(example = "invalid")]
    pub class: Option<String>,
    /// Only those that died of this.
    pub fingerprint: Option<String>,
    /// Only those with this Kafka key.
    pub key: Option<String>,
    /// Only those of this saga: the order's id, or the user's where no order is meant.
    pub saga: Option<Uuid>,
    /// Only those with this id, of the event with this id, or of the saga with this id.
    pub about: Option<Uuid>,
    /// Only those that died last at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those that died last before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only those that come after this one in the list.
    pub before: Option<Uuid>,
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    pub cursor: Option<String>,
}

impl Letters {
    /// Where a service answers it: `prefix` is the service's name in paths.
    ///
    /// # Errors
    /// When a parameter has no form in a query: a bug.
    pub fn target(&self, prefix: &str) -> Result<String, Problem> {
        target(prefix, "dead-letters", self)
    }
}

impl Jobs {
    /// Where a service answers it: `prefix` is the service's name in paths.
    ///
    /// # Errors
    /// When a parameter has no form in a query: a bug.
    pub fn target(&self, prefix: &str) -> Result<String, Problem> {
        target(prefix, "dead-letters/jobs", self)
    }
}

fn target(prefix: &str, list: &str, query: &impl Serialize) -> Result<String, Problem> {
    let query = serde_urlencoded::to_string(query).map_err(Problem::internal)?;
    Ok(format!("/{prefix}/{list}?{query}"))
}

/// Which bulk replays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[into_params(parameter_in = Query)]
pub struct Jobs {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those that come after this one in the list.
    pub before: Option<Uuid>,
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    pub cursor: Option<String>,
}

/// How far a bulk replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It goes on.
    Running,
    /// All letters were sent round.
    Finished,
    /// An operator has stopped it.
    Stopped,
    /// Too many letters failed again.
    Halted,
}

impl JobState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Halted => "halted",
        }
    }
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(crate) struct Audit {
    /// Only entries before this one.
    before: Option<i64>,
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Dead letters, the youngest first.
#[utoipa::path(get, path = "/dead-letters", tag = "operations", security(("bearer" = [])), params(Letters),
    responses((status = 200, description = "A page of letters", body = Page<view::Summary>)))]
pub(crate) async fn list(
    AdminPrincipal(admin): AdminPrincipal,
    operations: Data<Operations>,
    query: Query<Letters>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = query.into_inner();
    let limit = page::limit(query.limit);
    let list = PagedList::of(&request, admin.user_id)?;
    let after: Option<Uuid> = list.position(query.cursor.as_deref())?;
    query.before = after.into_iter().chain(query.before).min();
    let letters = letters(&operations, query, i64::from(limit) + 1).await?;
    Ok(list.page(letters, limit, |letter| letter.id)?.respond(&request))
}

/// Dead letters of a service, the youngest first.
///
/// # Errors
/// A [`Problem`] when the database would not tell.
pub async fn letters(
    operations: &Operations,
    query: Letters,
    limit: i64,
) -> Result<Vec<view::Summary>, Problem> {
    let saga = query.saga.map(|saga| saga.to_string());
    let nobodys = saga.is_some() && query.key.is_some() && saga != query.key;
    if nobodys {
        return Ok(Vec::new());
    }
    let wanted = LetterQuery {
        state: query.state.map(|state| state.as_str().to_owned()),
        topic: query.topic,
        class: query.class,
        fingerprint: query.fingerprint,
        key: saga.or(query.key),
        about: query.about,
        from: query.from,
        to: query.to,
        before: query.before,
    };
    let letters = operations.letters(&wanted, limit).await.map_err(problem)?;
    Ok(letters.iter().map(view::Summary::from).collect())
}

/// Bulk replays, the youngest first.
#[utoipa::path(get, path = "/dead-letters/jobs", tag = "operations", security(("bearer" = [])), params(Jobs),
    responses((status = 200, description = "A page of jobs", body = Page<view::Job>)))]
pub(crate) async fn jobs(
    AdminPrincipal(admin): AdminPrincipal,
    operations: Data<Operations>,
    query: Query<Jobs>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = query.into_inner();
    let limit = page::limit(query.limit);
    let list = PagedList::of(&request, admin.user_id)?;
    let after: Option<Uuid> = list.position(query.cursor.as_deref())?;
    query.before = after.into_iter().chain(query.before).min();
    let jobs = replay_jobs(&operations, query, i64::from(limit) + 1).await?;
    Ok(list.page(jobs, limit, |job| job.id)?.respond(&request))
}

/// Bulk replays of a service, the youngest first.
///
/// # Errors
/// A [`Problem`] when the database would not tell.
pub async fn replay_jobs(
    operations: &Operations,
    query: Jobs,
    limit: i64,
) -> Result<Vec<view::Job>, Problem> {
    let state = query.state.map(JobState::as_str);
    let jobs = operations
        .jobs(state, query.before, limit)
        .await
        .map_err(problem)?;
    jobs.into_iter().map(view::shaped).collect()
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
