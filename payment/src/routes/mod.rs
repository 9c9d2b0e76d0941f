//! The endpoints, one file each.

mod delete_simulator;
mod examples;
mod get_payment;
mod get_simulator;
mod list_disputes;
mod list_payments;
mod put_simulator;
mod stripe_webhook;
mod view;

use actix_web::web::{Data, ServiceConfig};
use chassis::docs::{BearerToken, OwnProblems};
use chassis::problem::{Code, Problem};
use utoipa::OpenApi;

use crate::app::State;
use crate::provider::ProviderError;

#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille payments", description = "What became of each order's payment."),
    paths(
        get_simulator::get_simulator,
        put_simulator::put_simulator,
        delete_simulator::delete_simulator,
        list_disputes::list_disputes,
        list_payments::list_payments,
        get_payment::get_payment,
        stripe_webhook::stripe_webhook,
    ),
    modifiers(&BearerToken),
    tags(
        (name = "payments", description = "What became of each order's payment"),
        (name = "simulator", description = "How the simulated payment provider behaves"),
        (name = "stripe", description = "What Stripe reports"),
    ),
)]
struct Documentation;

/// Problems that do not follow from what an operation takes.
pub(crate) const PROBLEMS: OwnProblems<'static> = &[
    ("list_disputes", &[Code::Forbidden]),
    ("list_payments", &[Code::Forbidden]),
    ("get_simulator", &[Code::Forbidden]),
    ("put_simulator", &[Code::Forbidden]),
    ("delete_simulator", &[Code::Forbidden]),
    ("stripe_webhook", &[Code::NotFound]),
];

/// The OpenAPI document.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Documentation::openapi()
}

pub(crate) fn configure(config: &mut ServiceConfig, state: State) {
    config
        .app_data(Data::new(state))
        // before /payments/{id}, which would take it for an id
        .service(get_simulator::get_simulator)
        .service(put_simulator::put_simulator)
        .service(delete_simulator::delete_simulator)
        .service(stripe_webhook::stripe_webhook)
        .service(list_disputes::list_disputes)
        .service(list_payments::list_payments)
        .service(get_payment::get_payment);
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound).detail("there is no such payment")
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        Self::unavailable(error)
    }
}
