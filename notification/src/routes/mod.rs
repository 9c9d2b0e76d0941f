//! The endpoints, one file each.

mod list_notifications;
mod mark_read;
mod preferences;
mod stream_notifications;
mod view;
mod webhooks;

use actix_web::web::{Data, ServiceConfig};
use chassis::docs::{BearerToken, OwnProblems};
use chassis::problem::Code;
use utoipa::OpenApi;

use crate::app::State;

#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille notifications", description = "What each user has been told, once a fact."),
    paths(
        list_notifications::list_notifications,
        mark_read::mark_read,
        stream_notifications::stream_notifications,
        preferences::get_preferences,
        preferences::put_preferences,
        webhooks::create_webhook::create_webhook,
        webhooks::list_webhooks::list_webhooks,
        webhooks::get_webhook::get_webhook,
        webhooks::patch_webhook::patch_webhook,
        webhooks::delete_webhook::delete_webhook,
        webhooks::test_webhook::test_webhook,
        webhooks::rotate_secret::rotate_secret,
        webhooks::list_deliveries::list_deliveries,
        webhooks::get_delivery::get_delivery,
        webhooks::resend_delivery::resend_delivery,
    ),
    modifiers(&BearerToken),
    tags(
        (name = "notifications", description = "What each user has been notified of"),
        (name = "preferences", description = "What a user wants to be notified of"),
        (name = "webhooks", description = "A user's webhooks and their deliveries"),
    ),
)]
struct Documentation;

/// Problems that do not follow from what an operation takes.
pub(crate) const PROBLEMS: OwnProblems<'static> = &[
    ("create_webhook", &[Code::Conflict]),
    ("resend_delivery", &[Code::Conflict, Code::IdempotencyInFlight]),
    ("test_webhook", &[Code::Conflict, Code::IdempotencyInFlight]),
];

/// The OpenAPI document.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Documentation::openapi()
}

pub(crate) fn configure(config: &mut ServiceConfig, state: State) {
    config
        .app_data(Data::new(state))
        .service(list_notifications::list_notifications)
        .service(mark_read::mark_read)
        .service(stream_notifications::stream_notifications)
        .service(preferences::get_preferences)
        .service(preferences::put_preferences)
        .configure(webhooks::configure);
}
