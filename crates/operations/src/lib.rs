//! The operators' endpoints, the same in every service: dead letters, bulk replays, status, statistics, audit.
//! Admins only.

mod act;
mod bulk;
mod document;
mod read;
mod view;

use actix_web::web::{self, Data, ServiceConfig};
use chassis::problem::{Code, Problem};
use messaging::once::KeyError;
use messaging::operations::{OperationError, Operations};
use utoipa::OpenApi;
use uuid::Uuid;

pub use act::{request_key, respond};
pub use document::document;
pub use read::{JobState, Jobs, Letters, State, audit_entries, letters, replay_jobs};
pub use view::{AuditEntry, ErrorView, Job, Summary};

#[derive(OpenApi)]
#[openapi(
    paths(
        read::list,
        read::groups,
        read::jobs,
        read::inspect,
        read::audit,
        read::status,
        read::stats,
        act::replay,
        act::edit,
        act::discard,
        act::restore,
        bulk::replay_many,
        bulk::job,
        bulk::stop,
    ),
    components(schemas(read::State, read::JobState))
)]
struct Documentation;

/// Mounts the endpoints under `prefix`. To be called before routes such as `<prefix>/{id}`.
pub fn configure(config: &mut ServiceConfig, prefix: &str, operations: Operations) {
    let at = |path: &str| web::resource(format!("{prefix}{path}"));
    config
        .app_data(Data::new(operations))
        .service(at("/events/status").route(web::get().to(read::status)))
        .service(at("/events/stats").route(web::get().to(read::stats)))
        .service(at("/dead-letters").route(web::get().to(read::list)))
        .service(at("/dead-letters/groups").route(web::get().to(read::groups)))
        .service(at("/dead-letters/audit").route(web::get().to(read::audit)))
        .service(at("/dead-letters/replay").route(web::post().to(bulk::replay_many)))
        .service(at("/dead-letters/jobs").route(web::get().to(read::jobs)))
        .service(at("/dead-letters/jobs/{id}").route(web::get().to(bulk::job)))
        .service(at("/dead-letters/jobs/{id}/stop").route(web::post().to(bulk::stop)))
        .service(at("/dead-letters/{id}").route(web::get().to(read::inspect)))
        .service(at("/dead-letters/{id}/replay").route(web::post().to(act::replay)))
        .service(at("/dead-letters/{id}/edit-and-replay").route(web::post().to(act::edit)))
        .service(at("/dead-letters/{id}/discard").route(web::post().to(act::discard)))
        .service(at("/dead-letters/{id}/restore").route(web::post().to(act::restore)));
}

fn id(text: &str) -> Result<Uuid, Problem> {
    text.parse()
        .map_err(|_no_id: uuid::Error| Problem::new(Code::NotFound))
}

/// What a client is told whose `Idempotency-Key` is not its request's.
#[must_use]
pub fn key_problem(error: KeyError) -> Problem {
    match error {
        KeyError::Mismatch => Problem::new(Code::IdempotencyMismatch),
        KeyError::InHand => Problem::new(Code::IdempotencyInFlight).retry_after(1),
    }
}

fn problem(error: OperationError) -> Problem {
    match error {
        OperationError::NotFound => {
            Problem::new(Code::NotFound).detail("there is no such dead letter or job")
        }
        OperationError::Invalid(fields) => fields.into_iter().fold(
            Problem::new(Code::Validation).detail("the payload is not one that this dead letter may have"),
            |problem, field| problem.error(format!("/payload{}", field.pointer), field.detail),
        ),
        OperationError::Conflict(_) | OperationError::Obsolete(_) => {
            Problem::new(Code::Conflict).detail(error.to_string())
        }
        OperationError::Key(error) => key_problem(error),
        OperationError::Database(error) => error.into(),
        OperationError::Outage(error) => Problem::unavailable(error),
    }
}
