//! The endpoints, one file each.

mod cancel_order;
mod examples;
mod follow_order;
mod get_order;
mod idempotency;
mod list_orders;
mod list_products;
mod order_history;
mod place_order;
mod put_product;
mod view;

use actix_web::web::{Data, ServiceConfig};
use chassis::docs::{BearerToken, OwnProblems};
use chassis::problem::{Code, Problem};
use contracts::OrderId;
use utoipa::OpenApi;

use crate::app::State;

#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille orders", description = "The catalogue, and orders from placing to their end."),
    paths(
        list_products::list_products,
        put_product::put_product,
        place_order::place_order,
        list_orders::list_orders,
        get_order::get_order,
        cancel_order::cancel_order,
        follow_order::follow_order,
        order_history::order_history,
    ),
    components(schemas(view::ReasonView)),
    modifiers(&BearerToken),
    tags(
        (name = "catalogue", description = "What can be ordered"),
        (name = "orders", description = "Orders, from placing to their end"),
    ),
)]
struct Documentation;

/// Problems that do not follow from what an operation takes.
pub(crate) const PROBLEMS: OwnProblems<'static> = &[
    ("put_product", &[Code::Forbidden]),
    ("list_orders", &[Code::Forbidden]),
    ("place_order", &[Code::IdempotencyInFlight]),
    ("cancel_order", &[Code::Conflict, Code::IdempotencyInFlight]),
];

/// The OpenAPI document.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Documentation::openapi()
}

pub(crate) fn configure(config: &mut ServiceConfig, state: State) {
    config
        .app_data(Data::new(state))
        .service(list_products::list_products)
        .service(put_product::put_product)
        .service(place_order::place_order)
        .service(list_orders::list_orders)
        .service(get_order::get_order)
        .service(cancel_order::cancel_order)
        .service(follow_order::follow_order)
        .service(order_history::order_history);
}

/// What is no id is no order either.
fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_no_id: uuid::Error| not_found())
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound).detail("there is no such order")
}
