//! The endpoints, one file each.

mod list_notifications;
mod mark_read;
mod view;

use actix_web::web::{Data, ServiceConfig};
use chassis::docs::BearerToken;
use chassis::problem::ProblemBody;
use utoipa::OpenApi;

use crate::app::State;

#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille notifications", description = "What each user has been told, once a fact."),
    paths(list_notifications::list_notifications, mark_read::mark_read),
    components(schemas(ProblemBody)),
    modifiers(&BearerToken),
)]
struct Documentation;

/// The OpenAPI document.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Documentation::openapi()
}

pub(crate) fn configure(config: &mut ServiceConfig, state: State) {
    config
        .app_data(Data::new(state))
        .service(list_notifications::list_notifications)
        .service(mark_read::mark_read);
}
