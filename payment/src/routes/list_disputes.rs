//! `GET /payments/disputes`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::AdminPrincipal;
use chassis::page::{List, Page, limit};
use chassis::problem::Problem;
use chassis::query::Query;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::view::DisputeView;
use crate::app::State;
use crate::store::{self, DisputeFilter};

/// Which disputes.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListDisputes {
    /// Only open ones, or only closed ones.
    #[garde(skip)]
    #[param(inline)]
    state: Option<DisputeState>,
    /// How many at most; 20 unless said.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Whether a dispute is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DisputeState {
    /// It waits for an answer, or for the bank.
    Open,
    /// It ended.
    Closed,
}

/// The disputes of everybody's payments, the newest first.
#[utoipa::path(
    tag = "payments",
    security(("bearer" = [])),
    params(ListDisputes),
    responses(
        (status = 200, description = "A page of disputes", body = Page<DisputeView>, headers(("Link" = Option<String>))),
    ),
)]
#[get("/payments/disputes")]
pub(super) async fn list_disputes(
    AdminPrincipal(caller): AdminPrincipal,
    request: HttpRequest,
    state: Data<State>,
    Query(query): Query<ListDisputes>,
) -> Result<HttpResponse, Problem> {
    let list = List::of(&request, caller.user_id)?;
    let before: Option<Uuid> = list.position(query.cursor.as_deref())?;
    let filter = DisputeFilter {
        is_open: query.state.map(|state| state == DisputeState::Open),
        before,
    };
    let limit = limit(query.limit);
    let mut conn = state.pool.get().await?;
    let disputes = store::list_disputes(&mut conn, filter, i64::from(limit) + 1).await?;
    let views = disputes
        .into_iter()
        .map(|dispute| DisputeView::new(dispute, &caller));
    Ok(list
        .page(views.collect(), limit, |dispute| dispute.id)?
        .respond(&request))
}
