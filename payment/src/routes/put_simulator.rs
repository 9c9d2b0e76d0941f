//! `PUT /payments/simulator`

use actix_web::web::Data;
use actix_web::{HttpResponse, put};
use chassis::auth::AdminPrincipal;
use chassis::json::Json;
use chassis::problem::Problem;

use super::view::SimulatorBody;
use crate::app::State;

/// Forces the next payments to end a certain way, so that anyone can watch a compensation.
#[utoipa::path(
    tag = "simulator",
    security(("bearer" = [])),
    request_body = SimulatorBody,
    responses(
        (status = 200, description = "In force from now on", body = SimulatorBody),
    ),
)]
#[put("/payments/simulator")]
pub(super) async fn put_simulator(
    AdminPrincipal(admin): AdminPrincipal,
    state: Data<State>,
    Json(body): Json<SimulatorBody>,
) -> Result<HttpResponse, Problem> {
    let setting = state.simulator.force(admin.user_id, &body.to_setting()).await?;
    tracing::warn!(
        mode = setting.mode.as_str(),
        remaining = setting.remaining,
        latency_ms = setting.latency_ms,
        actor.id = %admin.user_id,
        "payments are forced by the simulator's setting"
    );
    Ok(HttpResponse::Ok().json(SimulatorBody::from(setting)))
}
