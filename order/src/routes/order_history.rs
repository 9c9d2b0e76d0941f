//! `GET /orders/{id}/history`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use chassis::auth::Principal;
use chassis::problem::Problem;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{not_found, order_id};
use crate::app::State;
use crate::store::{self, facts};

/// What the order service has announced of one order.
#[derive(Serialize, ToSchema)]
struct OrderHistory {
    order_id: Uuid,
    items: Vec<OrderHistoryItem>,
}

/// One event.
#[derive(Serialize, ToSchema)]
struct OrderHistoryItem {
    event_id: Uuid,
    /// The topic it is announced on.
    #[schema(example = "order.created")]
    r#type: String,
    /// Its number among the order's.
    sequence: i64,
    occurred_at: DateTime<Utc>,
    /// The event or request that led to it.
    causation_id: Uuid,
    /// Constant over the saga.
    correlation_id: Uuid,
    /// The event's body.
    data: Value,
}

/// The events of one order that this service has announced, in order, from the moment of its own commit: before they have
/// come through Kafka. The timeline is made of these and of what the other services have announced.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The order")),
    responses(
        (status = 200, description = "The order's own events", body = OrderHistory),
    ),
)]
#[get("/orders/{id}/history")]
pub(super) async fn order_history(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = order_id(&path)?;
    let mut conn = state.pool.get().await?;
    store::find(&mut conn, id)
        .await?
        .filter(|order| caller.may_see(order.state.customer_id))
        .ok_or_else(not_found)?;
    let events = facts::events_of(&mut conn, id).await?;
    let items = events.into_iter().map(|event| OrderHistoryItem {
        event_id: event.event_id,
        r#type: event.topic,
        sequence: event.sequence,
        occurred_at: event.at,
        causation_id: event.causation_id,
        correlation_id: event.correlation_id,
        data: event.data,
    });
    Ok(HttpResponse::Ok().json(OrderHistory {
        order_id: id.uuid(),
        items: items.collect(),
    }))
}
