//! `GET /operations/audit`: what operators did in any of the services, and here, as one list.

use std::collections::{BTreeSet, HashMap};

use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chassis::page::{self, List, Page};
use chassis::problem::Problem;
use chassis::query::Query;
use chrono::{DateTime, Utc};
use garde::Validate;
use messaging::operations::Operations;
use operations::AuditEntry;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Desk, NO_STORE, Part, Position, ServiceName, merge};
use crate::proxy::Proxy;

/// Which page.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Entries a page, 1 to 100; 20 unless said.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// From the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// An entry of a service's audit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceAuditEntry {
    /// Where it was done.
    service: ServiceName,
    /// The e-mail address of whoever did it; null when there is no such account any more, or auth does not answer.
    actor_email: Option<String>,
    #[serde(flatten)]
    entry: AuditEntry,
}

/// Who did what, in which service, when and why, before and after; the youngest first.
#[utoipa::path(
    get,
    path = "/operations/audit",
    operation_id = "audit_of_all_services",
    tag = "operations",
    params(Paging),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of the audit", body = Page<ServiceAuditEntry>),
        (status = 400, description = "A malformed query"),
        (status = 502, description = "A service did not answer"),
        (status = 504, description = "A service did not answer in time"),
    )
)]
pub(crate) async fn audit(
    request: HttpRequest,
    proxy: web::Data<Proxy>,
    operations: web::Data<Operations>,
) -> Result<HttpResponse, Problem> {
    let desk = Desk::open(&request, &proxy).await?;
    let Query(query) = Query::<Paging>::extract(&request).await?;
    let limit = page::limit(query.limit);
    let list = List::of(&request, desk.operator.user_id)?;
    let shown: Position<i64> = list.position(query.cursor.as_deref())?.unwrap_or_default();
    let target = |service: ServiceName| {
        let before = shown.get(service.as_str()).map(|id| format!("&before={id}"));
        let before = before.unwrap_or_default();
        Ok(format!(
            "/{}/dead-letters/audit?limit={limit}{before}",
            service.as_str()
        ))
    };
    let own = async {
        let before = shown.get(ServiceName::Gateway.as_str()).copied();
        let entries = operations::audit_entries(&operations, before, i64::from(limit) + 1).await?;
        Ok(Part::own(entries, limit))
    };
    // an audit with a gap is none
    let parts = desk.parts(None, target, own).await;
    let parts = parts
        .into_iter()
        .map(|(_, part)| part)
        .collect::<Result<_, _>>()?;
    let page = merge(&list, parts, limit, shown, oldest_so_far, |entry| entry.id)?;
    let emails = desk.emails(&page).await;
    let page = page.map(|(service, entry): (_, AuditEntry)| ServiceAuditEntry {
        service,
        actor_email: emails.get(&entry.actor).cloned(),
        entry,
    });
    let mut response = page.respond(&request);
    response.headers_mut().insert(NO_STORE.0, NO_STORE.1);
    Ok(response)
}

/// Within a service entries stay in the order of their ids, whatever its clock said: the order goes by the oldest time so far.
fn oldest_so_far(entries: &[AuditEntry]) -> Vec<DateTime<Utc>> {
    let oldest = |oldest: &mut DateTime<Utc>, entry: &AuditEntry| {
        *oldest = entry.at.min(*oldest);
        Some(*oldest)
    };
    entries.iter().scan(DateTime::<Utc>::MAX_UTC, oldest).collect()
}

impl Desk<'_> {
    /// The addresses of those who acted: a name that a person knows. Without auth's answer the audit is whole all the same.
    async fn emails(&self, page: &Page<(ServiceName, AuditEntry)>) -> HashMap<Uuid, String> {
        let actors: BTreeSet<String> = page
            .items
            .iter()
            .map(|(_, entry)| entry.actor.to_string())
            .collect();
        if actors.is_empty() {
            return HashMap::new();
        }
        let ids: Vec<String> = actors.into_iter().collect();
        let wanted = format!("limit={}&ids={}", page::MAX_LIMIT, ids.join(","));
        match self.users(&wanted).await {
            Ok(users) => users.into_iter().map(|user| (user.user_id, user.email)).collect(),
            Err(error) => {
                tracing::warn!(error.message = %error, "the audit's actors have no e-mail addresses");
                HashMap::new()
            }
        }
    }
}
