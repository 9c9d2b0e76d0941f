//! `GET /notifications`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::page::{List, Page, limit};
use chassis::problem::Problem;
use chassis::query::Query;
use contracts::OrderId;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::view::NotificationView;
use crate::app::State;
use crate::store::{self, ListFilter};

/// Which notifications.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListNotifications {
    /// Only those about this order.
    #[garde(skip)]
    order_id: Option<Uuid>,
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// The caller's own notifications, the newest first; an admin sees no others either.
#[utoipa::path(
    tag = "notifications",
    security(("bearer" = [])),
    params(ListNotifications),
    responses(
        (status = 200, description = "A page of notifications", body = Page<NotificationView>, headers(("Link" = Option<String>))),
    ),
)]
#[get("/notifications")]
pub(super) async fn list_notifications(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    Query(query): Query<ListNotifications>,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, caller.user_id)?;
    let filter = ListFilter {
        user_id: caller.user_id,
        order_id: query.order_id.map(OrderId::new),
        before: list.position(query.cursor.as_deref())?,
    };
    let limit = limit(query.limit);
    let mut conn = state.pool.get().await?;
    let told = store::list(&mut conn, &filter, i64::from(limit) + 1).await?;
    drop(conn);
    let views: Vec<NotificationView> = told.into_iter().map(NotificationView::from).collect();
    Ok(list
        .page(views, limit, |notification| notification.id)?
        .respond(&request))
}
