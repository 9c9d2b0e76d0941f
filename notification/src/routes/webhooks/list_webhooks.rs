//! `GET /notifications/webhooks`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::page::{List, Page, limit};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::WebhookView;
use crate::app::State;
use crate::store;

/// Which webhooks.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::routes) struct ListWebhooks {
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// The caller's webhooks, the newest first.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(ListWebhooks),
    responses(
        (status = 200, description = "A page of webhooks", body = Page<WebhookView>, headers(("Link" = Option<String>))),
    ),
)]
#[get("/notifications/webhooks")]
pub(in crate::routes) async fn list_webhooks(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    Query(query): Query<ListWebhooks>,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, caller.user_id)?;
    let before = list.position(query.cursor.as_deref())?;
    let limit = limit(query.limit);
    let mut conn = state.pool.get().await?;
    let webhooks = store::webhooks_of(&mut conn, caller.user_id, before, i64::from(limit) + 1).await?;
    drop(conn);
    let views: Vec<WebhookView> = webhooks.into_iter().map(WebhookView::from).collect();
    Ok(list.page(views, limit, |webhook| webhook.id)?.respond(&request))
}
