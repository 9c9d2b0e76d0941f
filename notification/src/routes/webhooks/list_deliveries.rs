//! `GET /notifications/webhooks/{id}/deliveries`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::page::{List, Page, limit};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::{DeliveryView, StatusView};
use super::{id, no_webhook};
use crate::app::State;
use crate::store::{self, DeliveryFilter};

/// Which deliveries.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::routes) struct ListDeliveries {
    /// Only those that stand so.
    #[garde(skip)]
    #[param(inline)]
    status: Option<StatusView>,
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// What was sent to a webhook of the caller's, the newest first, with attempts.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook"), ListDeliveries),
    responses(
        (status = 200, description = "A page of deliveries", body = Page<DeliveryView>, headers(("Link" = Option<String>))),
    ),
)]
#[get("/notifications/webhooks/{id}/deliveries")]
pub(in crate::routes) async fn list_deliveries(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    path: Path<String>,
    Query(query): Query<ListDeliveries>,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, caller.user_id)?;
    let webhook_id = id(&path)?;
    let filter = DeliveryFilter {
        webhook_id,
        status: query.status.map(StatusView::as_str),
        before: list.position(query.cursor.as_deref())?,
        id: None,
    };
    let limit = limit(query.limit);
    let mut conn = state.pool.get().await?;
    let webhook = store::webhook_of(&mut conn, webhook_id, caller.user_id).await?;
    webhook.ok_or_else(no_webhook)?;
    let sent = store::list_deliveries(&mut conn, &filter, i64::from(limit) + 1).await?;
    drop(conn);
    let views: Vec<DeliveryView> = sent.into_iter().map(DeliveryView::from).collect();
    Ok(list.page(views, limit, |delivery| delivery.id)?.respond(&request))
}
