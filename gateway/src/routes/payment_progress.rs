//! How an order's payment goes, for the timeline that support reads.

use actix_web::HttpRequest;
use actix_web::http::uri::PathAndQuery;
use chassis::page::Page;
use chrono::{DateTime, Utc};
use contracts::OrderId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::forward::request_id;
use crate::domain::routing::Upstream;
use crate::proxy::Proxy;

/// How the payment goes, as the payment service has it at this moment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"status": "completed", "attempts": 1, "next_attempt_at": null}))]
pub(crate) struct PaymentProgress {
    /// Its status.
    status: String,
    /// How often the provider was asked to charge, failed attempts included.
    attempts: u32,
    /// When it is asked again, while it has not answered.
    #[schema(required)]
    next_attempt_at: Option<DateTime<Utc>>,
}

/// Reads it in the caller's own name. None when there is no payment, or the service does not tell: the events are shown
/// all the same.
pub(super) async fn of(request: &HttpRequest, proxy: &Proxy, order: OrderId) -> Option<PaymentProgress> {
    let target = PathAndQuery::try_from(format!("/payments?order_id={order}&limit=1")).ok()?;
    let id = request_id(request);
    match proxy
        .read::<Page<PaymentProgress>>(request, Upstream::Payment, target, &id)
        .await
    {
        Ok(page) => page.items.into_iter().next(),
        Err(error) => {
            tracing::debug!(%error, "the timeline is shown without its payment");
            None
        }
    }
}
