//! `GET /orders/{id}/timeline`: the life of an order's saga.

use std::collections::HashSet;
use std::str::FromStr;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::Pool;
use chassis::auth::Principal;
use chassis::problem::{Code, Problem};
use chrono::{DateTime, Utc};
use contracts::{EventId, OrderId, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::forward::request_id;
use super::payment_progress::{self, PaymentProgress};
use crate::domain::entry::{self, Entry};
use crate::domain::routing::{RouteClass, Upstream};
use crate::domain::timeline::causal_order;
use crate::edge;
use crate::proxy::{Proxy, ProxyError};
use crate::store::timeline;

/// The events of one saga, causes before effects.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "order_id": "019b7b12-b000-7408-a20e-0543f83c7e68",
    "items": [{
        "event_id": "019b7b12-b010-7a55-9e0c-2d4f6a8b1c37",
        "type": "order.created",
        "source": "order",
        "occurred_at": "2026-01-01T12:00:00.016Z",
        "causation_id": "019b7b12-affa-7c02-8b71-4e5d6c7a8b90",
        "data": {"order_id": "019b7b12-b000-7408-a20e-0543f83c7e68", "payment_method": "pm_card_visa"},
    }, {
        "event_id": "019b7b12-b29a-7f11-a6d3-90b1c2d3e4f5",
        "type": "payment.completed",
        "source": "payment",
        "occurred_at": "2026-01-01T12:00:00.666Z",
        "causation_id": "019b7b12-b010-7a55-9e0c-2d4f6a8b1c37",
        "data": {"order_id": "019b7b12-b000-7408-a20e-0543f83c7e68", "payment_id": "019b7b12-b2c8-7d02-8d5e-7a1f3b0c4d21"},
    }],
}))]
pub(crate) struct Timeline {
    order_id: Uuid,
    items: Vec<TimelineItem>,
    /// How the payment goes; told to admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentProgress>,
}

/// One event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineItem {
    event_id: Uuid,
    /// The topic it was announced on.
    #[schema(example = "order.created")]
    r#type: String,
    /// The service that announced it.
    #[schema(example = "order")]
    source: String,
    occurred_at: DateTime<Utc>,
    /// The event or request that led to it.
    causation_id: Uuid,
    /// The event's body; of a dead letter, its circumstances.
    data: Value,
}

impl TimelineItem {
    fn of(entry: Entry, principal: &Principal) -> Self {
        Self {
            event_id: entry.event_id.uuid(),
            data: if principal.is_admin() {
                entry.data.clone()
            } else {
                entry.public_data()
            },
            r#type: entry.kind,
            source: entry.source,
            occurred_at: entry.occurred_at,
            causation_id: entry.causation_id,
        }
    }
}

/// What the order service has announced of an order.
#[derive(Debug, Deserialize)]
struct History {
    items: Vec<HistoryItem>,
}

/// One event of it.
#[derive(Debug, Deserialize)]
struct HistoryItem {
    event_id: EventId,
    r#type: String,
    sequence: i64,
    occurred_at: DateTime<Utc>,
    causation_id: Uuid,
    correlation_id: Uuid,
    data: Value,
}

impl HistoryItem {
    /// None of a topic that only a later release knows.
    fn into_entry(self, order: OrderId) -> Option<Entry> {
        let topic: Topic = self.r#type.parse().ok()?;
        Some(Entry {
            event_id: self.event_id,
            order_id: Some(order),
            customer_id: None,
            kind: self.r#type,
            source: Upstream::Order.name().to_owned(),
            occurred_at: self.occurred_at,
            causation_id: self.causation_id,
            correlation_id: self.correlation_id,
            sequence: self.sequence,
            data: entry::kept(topic, self.data),
        })
    }
}

/// Every event of an order's saga, in causal order.
///
/// What the order service has announced is there from the moment of its answer to whoever placed or cancelled the order;
/// what others have, when it has come through Kafka.
#[utoipa::path(
    get,
    path = "/orders/{id}/timeline",
    tag = "gateway",
    params(("id" = Uuid, Path, description = "The order")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The events so far", body = Timeline),
        (status = 404, description = "No such order, or another's"),
        (status = 502, description = "Nothing is known of the order here, and the order service does not answer"),
    )
)]
pub(crate) async fn timeline(
    request: HttpRequest,
    id: web::Path<String>,
    pool: web::Data<Pool>,
    proxy: web::Data<Proxy>,
) -> Result<HttpResponse, Problem> {
    let principal = edge::admit(&request).await?;
    let order = OrderId::from_str(&id).map_err(|error| Problem::new(Code::NotFound).caused_by(error))?;
    let own = async {
        let mut connection = pool.get().await?;
        Ok::<_, Problem>(timeline::of_order(&mut connection, order).await?)
    };
    let (entries, history) = tokio::join!(own, history(&request, &proxy, order));
    let entries = told(&principal, order, entries?, history)?;
    let payment = if principal.is_admin() {
        payment_progress::of(&request, &proxy, order).await
    } else {
        None
    };
    let items = causal_order(entries, Entry::position);
    let items = items
        .into_iter()
        .map(|entry| TimelineItem::of(entry, &principal))
        .collect();
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(Timeline {
            order_id: order.uuid(),
            items,
            payment,
        }))
}

/// What the order service tells the client of the order; nothing where it is not there for them.
async fn history(
    request: &HttpRequest,
    proxy: &Proxy,
    order: OrderId,
) -> Result<Option<History>, ProxyError> {
    let target = PathAndQuery::try_from(format!("/orders/{order}/history"));
    let target = target.map_err(|_never| ProxyError::NoPath)?;
    let asked = (Upstream::Order, RouteClass::Standard);
    proxy.find(request, asked, target, &request_id(request)).await
}

/// What the client is told: what has come through Kafka, and what the order service says besides. When that does not answer,
/// what there is must do.
fn told(
    principal: &Principal,
    order: OrderId,
    mut entries: Vec<Entry>,
    history: Result<Option<History>, ProxyError>,
) -> Result<Vec<Entry>, Problem> {
    match history {
        Ok(Some(history)) => {
            let known: HashSet<EventId> = entries.iter().map(|entry| entry.event_id).collect();
            let fresh = history
                .items
                .into_iter()
                .filter(|item| !known.contains(&item.event_id));
            entries.extend(fresh.filter_map(|item| item.into_entry(order)));
            Ok(entries)
        }
        Ok(None) | Err(_) if may_see(principal, &entries) => Ok(entries),
        Err(error) if entries.is_empty() => Err(error.into()),
        Ok(None) | Err(_) => Err(Problem::new(Code::NotFound)),
    }
}

/// An order of which nothing has been heard is nobody's.
fn may_see(principal: &Principal, entries: &[Entry]) -> bool {
    let owner = entries.iter().find_map(|entry| entry.customer_id);
    match owner {
        Some(owner) => principal.may_see(owner),
        None => principal.is_admin() && !entries.is_empty(),
    }
}
