//! `GET /orders/{id}/timeline`: the life of an order's saga.

use std::str::FromStr;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::Pool;
use chassis::auth::Principal;
use chassis::problem::{Code, Problem, ProblemBody};
use chrono::{DateTime, Utc};
use contracts::OrderId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::payment_progress::{self, PaymentProgress};
use crate::domain::entry::Entry;
use crate::domain::timeline::causal_order;
use crate::edge;
use crate::proxy::Proxy;
use crate::store::timeline;

/// The events of one saga, causes before effects.
#[derive(Debug, Serialize, ToSchema)]
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

/// Every event of an order's saga, in causal order.
#[utoipa::path(
    get,
    path = "/orders/{id}/timeline",
    tag = "gateway",
    params(("id" = Uuid, Path, description = "The order")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The events so far", body = Timeline),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No event of such an order, or another's", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
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
    let mut connection = pool.get().await?;
    let entries = timeline::of_order(&mut connection, order).await?;
    drop(connection);
    if !may_see(&principal, &entries) {
        return Err(Problem::new(Code::NotFound));
    }
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

/// An order of which nothing has been heard is nobody's.
fn may_see(principal: &Principal, entries: &[Entry]) -> bool {
    let owner = entries.iter().find_map(|entry| entry.customer_id);
    match owner {
        Some(owner) => principal.may_see(owner),
        None => principal.is_admin() && !entries.is_empty(),
    }
}
