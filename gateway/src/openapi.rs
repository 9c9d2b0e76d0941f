//! The gateway's own part of the interface.

use chassis::docs::BearerToken;
use chassis::problem::ProblemBody;
use utoipa::OpenApi;

use crate::routes::{health, timeline};

/// What the gateway answers itself; everything else is in the services' documents.
#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille gateway", description = "The only entry: health and saga timelines"),
    paths(health::health, timeline::timeline),
    components(schemas(ProblemBody)),
    modifiers(&BearerToken),
    tags((name = "gateway", description = "What the gateway answers itself"))
)]
pub struct Documentation;
