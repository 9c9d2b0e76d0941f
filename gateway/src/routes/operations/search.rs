//! `GET /operations/search`: whatever has an id, or belongs to an e-mail address.

use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chassis::page::Page;
use chassis::problem::{Code, Problem};
use chassis::query::Query;
use chassis::{Pool, page};
use chrono::{DateTime, Utc};
use garde::Validate;
use messaging::operations::Operations;
use operations::{Letters, Summary};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::dead_letters::ServiceDeadLetter;
use super::{Desk, NO_STORE, Part, ServiceName, split};
use crate::domain::entry::Entry;
use crate::domain::routing::Upstream;
use crate::proxy::{Proxy, ProxyError};
use crate::store::timeline;

/// What is shown of each kind at most.
const FOUND_MAX: u16 = page::DEFAULT_LIMIT;

/// What is looked for.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// An id of anything (an order, a payment, a user, an event, a dead letter), or a user's e-mail address.
    #[garde(length(chars, min = 1, max = 320))]
    #[param(
        min_length = 1,
        max_length = 320,
        pattern = r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[^@\x00-\x1f]+@[^@\x00-\x1f]+)$",
        example = "ada@example.org"
    )]
    q: String,
}

/// What has the id, or belongs to whoever or whatever has it; of each kind the newest, 20 at most.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Found {
    /// Users, as `GET /auth/users` shows them.
    #[schema(value_type = Vec<Object>)]
    users: Vec<Value>,
    /// Orders, as `GET /orders` shows them.
    #[schema(value_type = Vec<Object>)]
    orders: Vec<Value>,
    /// Payments, as `GET /payments` shows them.
    #[schema(value_type = Vec<Object>)]
    payments: Vec<Value>,
    /// Events of sagas.
    events: Vec<FoundEvent>,
    /// Dead letters.
    dead_letters: Vec<ServiceDeadLetter>,
    /// Services that did not answer: what they have is missing.
    unanswered: Vec<ServiceName>,
}

/// An event of a saga.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundEvent {
    event_id: Uuid,
    /// The order whose saga it belongs to; null of what is about an account.
    order_id: Option<Uuid>,
    /// The topic it was announced on.
    #[schema(example = "order.created")]
    r#type: String,
    /// The service that announced it.
    #[schema(example = "order")]
    source: String,
    occurred_at: DateTime<Utc>,
    /// The event's body; of a dead letter, its circumstances.
    data: Value,
}

impl From<Entry> for FoundEvent {
    fn from(entry: Entry) -> Self {
        Self {
            event_id: entry.event_id.uuid(),
            order_id: entry.order_id.map(contracts::OrderId::uuid),
            r#type: entry.kind,
            source: entry.source,
            occurred_at: entry.occurred_at,
            data: entry.data,
        }
    }
}

/// Looks for an id, or for what belongs to an e-mail address, in all services. A service that does not answer is named, and
/// takes nothing from the others.
#[utoipa::path(
    get,
    path = "/operations/search",
    operation_id = "search_in_all_services",
    tag = "operations",
    params(Wanted),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "What was found; every list may be empty", body = Found),
        (status = 400, description = "Neither an id nor an e-mail address"),
        (status = 502, description = "An e-mail address is looked for, and auth did not answer"),
        (status = 504, description = "An e-mail address is looked for, and auth did not answer in time"),
    )
)]
pub(crate) async fn search(
    request: HttpRequest,
    proxy: web::Data<Proxy>,
    pool: web::Data<Pool>,
    operations: web::Data<Operations>,
) -> Result<HttpResponse, Problem> {
    let desk = Desk::open(&request, &proxy).await?;
    let Query(Wanted { q }) = Query::<Wanted>::extract(&request).await?;
    let id = match (q.trim().parse::<Uuid>(), q.contains('@')) {
        (Ok(id), _) => Some(id),
        (Err(_), true) => desk.user_of(q.trim()).await?,
        (Err(_), false) => {
            let detail = "q must be an id or an e-mail address";
            return Err(Problem::new(Code::InvalidQuery).detail(detail));
        }
    };
    let found = match id {
        Some(id) => desk.about(id, &pool, &operations).await,
        None => Found::default(),
    };
    Ok(HttpResponse::Ok().insert_header(NO_STORE).json(found))
}

impl Desk<'_> {
    async fn user_of(&self, email: &str) -> Result<Option<Uuid>, Problem> {
        let query = serde_urlencoded::to_string([("email", email)]).map_err(Problem::internal)?;
        let users = self.users(&query).await?;
        Ok(users.first().map(|user| user.user_id))
    }

    async fn about(&self, id: Uuid, pool: &Pool, operations: &Operations) -> Found {
        let one = |path: String| async move { self.find::<Value>(upstream(&path), path).await };
        let some = |path: String| async move {
            let page: Result<Option<Page<Value>>, ProxyError> = self.find(upstream(&path), path).await;
            page.map(|page| page.map(|page| page.items).unwrap_or_default())
        };
        let (users, order, theirs, payment, paid, of_order, events, letters) = tokio::join!(
            some(format!("/auth/users?ids={id}")),
            one(format!("/orders/{id}")),
            some(format!("/orders?customer={id}&limit={FOUND_MAX}")),
            one(format!("/payments/{id}")),
            some(format!("/payments?customer={id}&limit={FOUND_MAX}")),
            some(format!("/payments?order_id={id}&limit={FOUND_MAX}")),
            events(pool, id),
            self.letters(id, operations),
        );
        let mut found = Found::default();
        found.users = found.take(ServiceName::Auth, users.map(|users| vec![users]));
        let orders = order.and_then(|order| Ok(vec![Vec::from_iter(order), theirs?]));
        found.orders = found.take(ServiceName::Orders, orders);
        let payments = payment.and_then(|payment| Ok(vec![Vec::from_iter(payment), paid?, of_order?]));
        found.payments = found.take(ServiceName::Payments, payments);
        match events {
            Ok(events) => found.events = events.into_iter().map(FoundEvent::from).collect(),
            Err(problem) => found.is_missing(ServiceName::Gateway, &problem),
        }
        let (letters, unanswered) = letters;
        found.dead_letters = letters;
        for service in unanswered {
            if !found.unanswered.contains(&service) {
                found.unanswered.push(service);
            }
        }
        found
    }

    async fn letters(&self, id: Uuid, operations: &Operations) -> (Vec<ServiceDeadLetter>, Vec<ServiceName>) {
        let about = || Letters {
            about: Some(id),
            limit: Some(FOUND_MAX),
            ..Letters::default()
        };
        let own = async {
            let letters = operations::letters(operations, about(), FOUND_MAX.into()).await?;
            Ok(Part::own(letters, FOUND_MAX))
        };
        let parts = self
            .parts(None, |service| about().target(service.as_str()), own)
            .await;
        let (parts, unanswered) = split(parts);
        let of_part = |part: Part<Summary>| part.items.into_iter().map(move |letter| (part.service, letter));
        let mut letters: Vec<_> = parts.into_iter().flat_map(of_part).collect();
        letters.sort_by_key(|(_, letter)| std::cmp::Reverse(letter.id));
        letters.truncate(FOUND_MAX.into());
        (
            letters.into_iter().map(ServiceDeadLetter::new).collect(),
            unanswered,
        )
    }
}

impl Found {
    /// The documents of a service, each once; none where it did not answer.
    fn take(&mut self, service: ServiceName, answer: Result<Vec<Vec<Value>>, ProxyError>) -> Vec<Value> {
        match answer {
            Ok(lists) => {
                let mut all: Vec<Value> = Vec::new();
                for document in lists.into_iter().flatten() {
                    if !all.contains(&document) {
                        all.push(document);
                    }
                }
                all.truncate(FOUND_MAX.into());
                all
            }
            Err(error) => {
                self.is_missing(service, &error);
                Vec::new()
            }
        }
    }

    fn is_missing(&mut self, service: ServiceName, error: &dyn std::fmt::Display) {
        tracing::warn!(service = service.as_str(), error.message = %error, "a search goes without a service");
        self.unanswered.push(service);
    }
}

/// Whose a path is.
fn upstream(path: &str) -> Upstream {
    match path.split(['/', '?']).nth(1) {
        Some("orders") => Upstream::Order,
        Some("payments") => Upstream::Payment,
        _ => Upstream::Auth,
    }
}

async fn events(pool: &Pool, id: Uuid) -> Result<Vec<Entry>, Problem> {
    let mut connection = pool.get().await?;
    Ok(timeline::about(&mut connection, id, FOUND_MAX.into()).await?)
}
