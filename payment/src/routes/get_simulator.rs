//! `GET /payments/simulator`

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use chassis::auth::AdminPrincipal;
use chassis::problem::Problem;

use super::view::SimulatorBody;
use crate::app::State;

/// How the simulated provider is forced to behave.
#[utoipa::path(
    tag = "simulator",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The setting in force", body = SimulatorBody),
    ),
)]
#[get("/payments/simulator")]
pub(super) async fn get_simulator(_: AdminPrincipal, state: Data<State>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(SimulatorBody::from(state.simulator.setting().await?)))
}
