//! What operators see of all services at once: one list where each service has its own.

pub(crate) mod audit;
pub(crate) mod dead_letters;
pub(crate) mod replays;
pub(crate) mod search;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use chassis::auth::Principal;
use chassis::page::{List, Page};
use chassis::problem::{Code, Problem};
use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::forward::request_id;
use crate::domain::routing::{RouteClass, Upstream};
use crate::edge;
use crate::proxy::{Proxy, ProxyError};

/// Nothing of this is kept by anybody on the way.
const NO_STORE: (actix_web::http::header::HeaderName, HeaderValue) =
    (CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// A service that operators know, by its name in paths: `/orders/dead-letters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServiceName {
    /// Accounts, logins, keys.
    Auth,
    /// Catalogue and orders.
    Orders,
    /// Payments.
    Payments,
    /// Notifications.
    Notifications,
    /// The gateway itself.
    Gateway,
}

impl ServiceName {
    const fn of(upstream: Upstream) -> Self {
        match upstream {
            Upstream::Auth => Self::Auth,
            Upstream::Order => Self::Orders,
            Upstream::Payment => Self::Payments,
            Upstream::Notification => Self::Notifications,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Notifications => "notifications",
            Self::Gateway => "gateway",
        }
    }
}

/// An operator, and the way to the services in their name.
struct Desk<'a> {
    request: &'a HttpRequest,
    proxy: &'a Proxy,
    request_id: HeaderValue,
    operator: Principal,
}

/// A user as auth tells of one.
#[derive(Debug, Deserialize)]
struct User {
    user_id: Uuid,
    email: String,
}

/// What came of one service's list: the next items of it, and whether there are more behind them.
struct Part<T> {
    service: ServiceName,
    items: Vec<T>,
    more: bool,
}

/// The last item of each service that was shown; none of one whose items are all to come.
type Position<P> = BTreeMap<String, P>;

impl<'a> Desk<'a> {
    /// Admits admins only.
    async fn open(request: &'a HttpRequest, proxy: &'a Proxy) -> Result<Self, Problem> {
        let operator = edge::admit(request).await?;
        if !operator.is_admin() {
            return Err(Problem::new(Code::Forbidden));
        }
        Ok(Self {
            request,
            proxy,
            request_id: request_id(request),
            operator,
        })
    }

    /// What a service answers at `target`; none where there is nothing.
    async fn find<T: DeserializeOwned>(
        &self,
        upstream: Upstream,
        target: String,
    ) -> Result<Option<T>, ProxyError> {
        let target = PathAndQuery::try_from(target).map_err(|_no_path| ProxyError::NoPath)?;
        let asked = (upstream, RouteClass::Operations);
        self.proxy
            .find(self.request, asked, target, &self.request_id)
            .await
    }

    /// Users, by a query of `GET /auth/users`.
    async fn users(&self, query: &str) -> Result<Vec<User>, ProxyError> {
        let page: Option<Page<User>> = self.find(Upstream::Auth, format!("/auth/users?{query}")).await?;
        Ok(page.map(|page| page.items).unwrap_or_default())
    }

    /// Pages of the services' lists at `target`, which is told each service's name, and of the gateway's `own`; of the one
    /// that is asked for `only`, or of all. Each comes by itself: one that fails takes nothing from the others.
    async fn parts<T: DeserializeOwned>(
        &self,
        only: Option<ServiceName>,
        target: impl Fn(ServiceName) -> Result<String, Problem>,
        own: impl Future<Output = Result<Part<T>, Problem>>,
    ) -> Vec<(ServiceName, Result<Part<T>, Problem>)> {
        let wanted = |service| only.is_none_or(|only| only == service);
        let upstreams = Upstream::ALL.into_iter();
        let upstreams = upstreams.filter(|upstream| wanted(ServiceName::of(*upstream)));
        let of_services = upstreams.map(async |upstream| {
            let service = ServiceName::of(upstream);
            (service, self.part(upstream, target(service)).await)
        });
        let of_services = join_all(of_services);
        if !wanted(ServiceName::Gateway) {
            return of_services.await;
        }
        let (mut parts, own) = tokio::join!(of_services, own);
        parts.push((ServiceName::Gateway, own));
        parts
    }

    async fn part<T: DeserializeOwned>(
        &self,
        upstream: Upstream,
        target: Result<String, Problem>,
    ) -> Result<Part<T>, Problem> {
        let page: Option<Page<T>> = self.find(upstream, target?).await?;
        let page = page.ok_or_else(|| ProxyError::Upstream {
            upstream,
            cause: "answered 404 Not Found".to_owned(),
            sent: true,
        })?;
        Ok(Part {
            service: ServiceName::of(upstream),
            more: page.next_cursor.is_some(),
            items: page.items,
        })
    }
}

impl<T> Part<T> {
    /// The gateway's own items, of which one more than `limit` was asked for.
    fn own(mut items: Vec<T>, limit: u16) -> Self {
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        Self {
            service: ServiceName::Gateway,
            items,
            more,
        }
    }
}

/// Those that answered, and the names of those that did not. Whoever asked for one service alone is told why it did not.
fn those_that_answered<T>(
    parts: Vec<(ServiceName, Result<Part<T>, Problem>)>,
    only: Option<ServiceName>,
) -> Result<(Vec<Part<T>>, Vec<ServiceName>), Problem> {
    if only.is_none() {
        return Ok(split(parts));
    }
    let parts: Result<_, _> = parts.into_iter().map(|(_, part)| part).collect();
    Ok((parts?, Vec::new()))
}

/// The same, where nobody has to be told why: the log is.
fn split<T>(parts: Vec<(ServiceName, Result<Part<T>, Problem>)>) -> (Vec<Part<T>>, Vec<ServiceName>) {
    let mut answered = Vec::new();
    let mut unanswered = Vec::new();
    for (service, part) in parts {
        match part {
            Ok(part) => answered.push(part),
            Err(problem) => {
                tracing::warn!(
                    service = service.as_str(),
                    error.message = %problem,
                    "a service is missing in a list of all"
                );
                unanswered.push(service);
            }
        }
    }
    (answered, unanswered)
}

/// The next `limit` items of all parts, the greatest first by `order`, which tells of a part's items in their order; and the
/// cursor to those behind them. `place` is where an item's own service goes on after it.
fn merge<T, K: Ord, P: Serialize>(
    list: &List,
    parts: Vec<Part<T>>,
    limit: u16,
    mut shown: Position<P>,
    order: impl Fn(&[T]) -> Vec<K>,
    place: impl Fn(&T) -> P,
) -> Result<Page<(ServiceName, T)>, Problem> {
    let limit = usize::from(limit);
    let more_behind = parts.iter().any(|part| part.more);
    let mut items: Vec<(K, ServiceName, T)> = Vec::new();
    for part in parts {
        let keys = order(&part.items);
        let keyed = keys.into_iter().zip(part.items);
        items.extend(keyed.map(|(key, item)| (key, part.service, item)));
    }
    // stable: items of one service stay as they came
    items.sort_by(|(one, ..), (other, ..)| Reverse(one).cmp(&Reverse(other)));
    let more = more_behind || items.len() > limit;
    items.truncate(limit);
    for (_, service, item) in &items {
        shown.insert(service.as_str().to_owned(), place(item));
    }
    let items = items.into_iter().map(|(_, service, item)| (service, item));
    Ok(Page {
        items: items.collect(),
        next_cursor: if more { Some(list.after(&shown)?) } else { None },
    })
}
