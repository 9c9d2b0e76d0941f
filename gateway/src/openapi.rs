//! The gateway's own part of the interface.

use chassis::docs::BearerToken;
use chassis::problem::ProblemBody;
use utoipa::OpenApi;

use crate::routes::{audit, health, reconciliation, timeline};

/// What the gateway answers itself; everything else is in the services' documents.
#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille gateway", description = "The only entry: health, saga timelines, reconciliation and the operators' audit"),
    paths(health::health, timeline::timeline, reconciliation::reconciliation, audit::audit),
    components(schemas(ProblemBody)),
    modifiers(&BearerToken),
    tags(
        (name = "gateway", description = "What the gateway answers itself"),
        (name = "operations", description = "For operators")
    )
)]
pub struct Documentation;
