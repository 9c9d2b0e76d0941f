//! The gateway's own part of the interface, and the whole one.

use chassis::docs::{BearerToken, OwnProblems};
use chassis::problem::Code;
use utoipa::OpenApi;

use crate::routes::operations::{ServiceName, audit, dead_letters, replays, search};
use crate::routes::{health, reconciliation, timeline};

pub use crate::domain::whole_interface::{MergeError, merged};

/// The whole document: what the gateway answers itself, with the operators' endpoints of its own events.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    ::operations::document(Documentation::openapi(), OPERATIONS, PROBLEMS)
}

/// Where the gateway's own events and dead letters are operated.
pub(crate) const OPERATIONS: &str = "/gateway";

/// Problems that do not follow from what an operation takes.
const PROBLEMS: OwnProblems<'static> = &[
    ("audit_of_all_services", &[Code::Forbidden]),
    ("dead_letters_of_all_services", &[Code::Forbidden]),
    ("reconciliation", &[Code::Forbidden]),
    ("replays_of_all_services", &[Code::Forbidden]),
    ("search_in_all_services", &[Code::Forbidden]),
];

/// What the gateway answers itself; everything else is in the services' documents.
#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille gateway", description = "The only entry: health, saga timelines, reconciliation and the operators' audit"),
    paths(health::health, timeline::timeline, reconciliation::reconciliation, audit::audit,
        dead_letters::dead_letters, replays::replays, search::search),
    components(schemas(ServiceName)),
    modifiers(&BearerToken),
    tags((name = "gateway", description = "What the gateway answers itself"))
)]
pub struct Documentation;
