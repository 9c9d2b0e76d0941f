//! The gateway's own part of the interface.

use chassis::problem::ProblemBody;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

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

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}
