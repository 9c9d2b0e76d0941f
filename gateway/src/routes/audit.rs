//! `GET /operations/audit`: what operators did in any of the services, and here, as one list.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chassis::page::{self, List, Page};
use chassis::problem::{Code, Problem};
use chassis::query::Query;
use chrono::{DateTime, Utc};
use futures::future::{try_join, try_join_all};
use garde::Validate;
use messaging::operations::Operations;
use operations::AuditEntry;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::forward::request_id;
use crate::domain::routing::Upstream;
use crate::edge;
use crate::proxy::{Proxy, ProxyError};

/// The gateway among the services.
const OWN_NAME: &str = "gateway";

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
    /// Where it was done, as in the paths: `auth`, `orders`, `payments`, `notifications` or `gateway`.
    service: String,
    #[serde(flatten)]
    entry: AuditEntry,
}

/// The last entry that was shown of each service; none of a service whose entries are all to come.
type Position = BTreeMap<String, i64>;

/// Who did what about dead letters, in which service, when and why, before and after; the youngest first.
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
        (status = 403, description = "Not an admin"),
        (status = 502, description = "A service did not answer"),
        (status = 504, description = "A service did not answer in time"),
    )
)]
pub(crate) async fn audit(
    request: HttpRequest,
    proxy: web::Data<Proxy>,
    operations: web::Data<Operations>,
) -> Result<HttpResponse, Problem> {
    let principal = edge::admit(&request).await?;
    if !principal.is_admin() {
        return Err(Problem::new(Code::Forbidden));
    }
    let Query(query) = Query::<Paging>::extract(&request).await?;
    let limit = page::limit(query.limit);
    let list = List::of(&request, principal.user_id)?;
    let shown: Position = list.position(query.cursor.as_deref())?.unwrap_or_default();
    let request_id = request_id(&request);
    let parts = Upstream::ALL.map(|upstream| read(&request, &proxy, &request_id, upstream, limit, &shown));
    let (mut parts, own) = try_join(try_join_all(parts), read_own(&operations, limit, &shown)).await?;
    parts.push(own);
    let page = merge(&list, parts, limit, shown)?;
    let mut response = page.respond(&request);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A page of one service's entries before the last one shown.
async fn read(
    request: &HttpRequest,
    proxy: &Proxy,
    request_id: &HeaderValue,
    upstream: Upstream,
    limit: u16,
    shown: &Position,
) -> Result<Page<ServiceAuditEntry>, Problem> {
    let service = upstream.public_name();
    let before = shown
        .get(service)
        .map(|id| format!("&before={id}"))
        .unwrap_or_default();
    let target = format!("/{service}/dead-letters/audit?limit={limit}{before}");
    let target = PathAndQuery::try_from(target).map_err(|_no_path| ProxyError::NoPath)?;
    let page: Page<AuditEntry> = proxy.read(request, upstream, target, request_id).await?;
    Ok(page.map(|entry| ServiceAuditEntry {
        service: service.to_owned(),
        entry,
    }))
}

/// A page of the gateway's own entries before the last one shown.
async fn read_own(
    operations: &Operations,
    limit: u16,
    shown: &Position,
) -> Result<Page<ServiceAuditEntry>, Problem> {
    let before = shown.get(OWN_NAME).copied();
    let mut entries = operations::audit_entries(operations, before, i64::from(limit) + 1).await?;
    let more = entries.len() > usize::from(limit);
    entries.truncate(limit.into());
    let items = entries.into_iter().map(|entry| ServiceAuditEntry {
        service: OWN_NAME.to_owned(),
        entry,
    });
    Ok(Page {
        items: items.collect(),
        // only whether there is one is asked
        next_cursor: more.then(String::new),
    })
}

/// The youngest of all, and where each service's entries go on. Within a service entries stay in the order of their
/// ids, whatever its clock said: the order goes by the oldest time so far.
fn merge(
    list: &List,
    parts: Vec<Page<ServiceAuditEntry>>,
    limit: u16,
    mut shown: Position,
) -> Result<Page<ServiceAuditEntry>, Problem> {
    let limit = usize::from(limit);
    let more_behind = parts.iter().any(|part| part.next_cursor.is_some());
    let mut entries: Vec<_> = parts.into_iter().flat_map(in_order).collect();
    // stable: entries of one service stay as they came
    entries.sort_by_key(|(time, _)| Reverse(*time));
    let more = more_behind || entries.len() > limit;
    entries.truncate(limit);
    let items: Vec<_> = entries.into_iter().map(|(_, item)| item).collect();
    for item in &items {
        shown.insert(item.service.clone(), item.entry.id);
    }
    let next_cursor = if more { Some(list.after(&shown)?) } else { None };
    Ok(Page { items, next_cursor })
}

/// A service's entries, each with the oldest time up to it.
fn in_order(part: Page<ServiceAuditEntry>) -> impl Iterator<Item = (DateTime<Utc>, ServiceAuditEntry)> {
    part.items
        .into_iter()
        .scan(DateTime::<Utc>::MAX_UTC, |oldest, item| {
            *oldest = item.entry.at.min(*oldest);
            Some((*oldest, item))
        })
}
