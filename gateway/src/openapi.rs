//! The gateway's own part of the interface.

use chassis::docs::{BearerToken, Problems};
use chassis::problem::ProblemBody;
use utoipa::OpenApi;

use crate::routes::operations::{ServiceName, audit, dead_letters, replays, search};
use crate::routes::{health, reconciliation, timeline};

/// The whole document: what the gateway answers itself, with the operators' endpoints of its own events.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    ::operations::document(Documentation::openapi(), OPERATIONS)
}

/// Where the gateway's own events and dead letters are operated.
pub(crate) const OPERATIONS: &str = "/gateway";

/// What the gateway answers itself; everything else is in the services' documents.
#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille gateway", description = "The only entry: health, saga timelines, reconciliation and the operators' audit"),
    paths(health::health, timeline::timeline, reconciliation::reconciliation, audit::audit,
        dead_letters::dead_letters, replays::replays, search::search),
    components(schemas(ProblemBody, ServiceName)),
    modifiers(&BearerToken, &Problems),
    tags(
        (name = "gateway", description = "What the gateway answers itself"),
        (name = "operations", description = "For operators")
    )
)]
pub struct Documentation;
