//! `DELETE /payments/simulator`

use actix_web::web::Data;
use actix_web::{HttpResponse, delete};
use chassis::auth::AdminPrincipal;
use chassis::problem::Problem;

use crate::app::State;
use crate::provider::Setting;

/// Forces no more payments: they behave by their method again, without delay. Idempotent.
#[utoipa::path(
    tag = "simulator",
    security(("bearer" = [])),
    responses(
        (status = 204, description = "Nothing is forced"),
    ),
)]
#[delete("/payments/simulator")]
pub(super) async fn delete_simulator(
    AdminPrincipal(admin): AdminPrincipal,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.simulator.force(admin.user_id, &Setting::NOTHING).await?;
    tracing::info!(actor.id = %admin.user_id, "no payment is forced any more");
    Ok(HttpResponse::NoContent().finish())
}
