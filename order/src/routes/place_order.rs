//! `POST /orders`

use std::collections::HashMap;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::idempotency::{IdempotencyHeader, IdempotencyKey, REPLAYED};
use chassis::json::Json;
use chassis::problem::{Code, Problem};
use contracts::{Context, MoneyError, Topic, Transition};
use diesel_async::AsyncConnection;
use garde::Validate;
use messaging::command::{self, Done};
use messaging::{Conn, Versioned, saga_log};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::examples;
use super::idempotency::{Key, NotTaken, answered, take};
use super::view::OrderView;
use crate::app::State;
use crate::domain::{Order, PlaceError, Product, place};
use crate::store::{OrderRepository, products};

/// What a customer wants. Prices are not the customer's to say.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "items": [{"sku": "KEYBOARD-TKL", "quantity": 1}],
    "payment_method": "pm_card_visa",
}))]
pub(super) struct PlaceOrder {
    /// At least one item, a hundred at most.
    #[garde(length(min = 1, max = 100), dive)]
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<PlaceItem>,
    /// `pm_card_visa`, `pm_card_declined`, `pm_card_insufficient_funds`, `pm_provider_error`,
    /// `pm_provider_flaky` or `pm_provider_slow`; with `payment_methods.kind = stripe` the id of a payment method of
    /// Stripe's.
    #[garde(skip)]
    #[schema(example = "pm_card_visa")]
    payment_method: String,
}

/// One item.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceItem {
    /// Stock keeping unit, out of the catalogue.
    #[garde(skip)]
    #[schema(example = "KEYBOARD-TKL")]
    sku: String,
    /// How many; ten thousand at most.
    #[garde(range(min = 1, max = 10_000))]
    #[schema(example = 1, minimum = 1, maximum = 10_000)]
    quantity: i32,
}

/// Places an order. It is pending until its payment is known; follow `Location`.
///
/// With an `Idempotency-Key`, sending the same body again gets the stored answer, and another body 422.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(IdempotencyHeader),
    request_body = PlaceOrder,
    responses(
        (status = 202, description = "Placed; the payment follows", body = OrderView,
            headers(("Location" = String), ("Idempotent-Replayed" = Option<String>)), example = json!(examples::pending())),
    ),
)]
#[post("/orders")]
pub(super) async fn place_order(
    caller: Principal,
    state: Data<State>,
    key: IdempotencyKey,
    Json(body): Json<PlaceOrder>,
) -> Result<HttpResponse, Problem> {
    let payment_method = state
        .payment_methods
        .find(&body.payment_method)
        .map_err(|unknown| Problem::invalid("/payment_method", unknown.to_string()))?;
    let key = Key::of(&caller, key, &body)?;
    let mut conn = state.pool.get().await?;
    if let Some(answer) = answered(&mut conn, key.as_ref()).await? {
        return Ok(replayed(&answer));
    }
    let products = products_of(&mut conn, &body.items).await?;
    let context = context();
    let placed = place(caller.user_id, &products, payment_method, &context).map_err(refused)?;
    match store(&mut conn, placed, &context, key.as_ref(), state.key_patience).await {
        Ok(order) => {
            state.signals.committed();
            saga_log::tell(&context, "place-order", &[Topic::OrderCreated.name()]);
            Ok(accepted(&order.id.to_string()).json(order))
        }
        Err(NotTaken::Used) => match answered(&mut conn, key.as_ref()).await? {
            Some(answer) => Ok(replayed(&answer)),
            None => Err(NotTaken::Used.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// The saga has the order's id throughout; the request's own id is what caused it.
fn context() -> Context {
    let order_id = clock::new_id();
    Context {
        now: clock::now(),
        fresh_id: order_id,
        cause_id: clock::new_id(),
        correlation_id: order_id,
    }
}

fn replayed(answer: &serde_json::Value) -> HttpResponse {
    let id = answer.get("id").and_then(serde_json::Value::as_str);
    let mut response = accepted(id.unwrap_or_default());
    response.insert_header(REPLAYED);
    response.json(answer)
}

fn accepted(id: &str) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Accepted();
    response.insert_header(("Location", format!("/orders/{id}")));
    response
}

async fn products_of(conn: &mut Conn, items: &[PlaceItem]) -> Result<Vec<(Product, i32)>, Problem> {
    let skus: Vec<String> = items.iter().map(|item| item.sku.clone()).collect();
    let found: HashMap<String, Product> = products::of(conn, &skus)
        .await?
        .into_iter()
        .map(|product| (product.sku.clone(), product))
        .collect();
    let mut unknown = Problem::new(Code::Validation);
    let mut chosen = Vec::with_capacity(items.len());
    for (line, item) in items.iter().enumerate() {
        match found.get(&item.sku) {
            Some(product) => chosen.push((product.clone(), item.quantity)),
            None => unknown = unknown.error(format!("/items/{line}/sku"), "there is no such product"),
        }
    }
    if unknown.errors().is_empty() {
        Ok(chosen)
    } else {
        Err(unknown)
    }
}

fn refused(error: PlaceError) -> Problem {
    let pointer = match &error {
        PlaceError::Empty => "/items".to_owned(),
        PlaceError::Quantity { line }
        | PlaceError::Total {
            line,
            source: MoneyError::Overflow,
        } => format!("/items/{line}/quantity"),
        PlaceError::Inactive { line, .. }
        | PlaceError::Total {
            line,
            source: MoneyError::CurrencyMismatch(..),
        } => format!("/items/{line}/sku"),
    };
    Problem::invalid(pointer, error.to_string())
}

/// Order, outbox row and idempotency key, all or nothing.
async fn store(
    conn: &mut Conn,
    placed: Transition<Order>,
    context: &Context,
    key: Option<&Key>,
    patience: Duration,
) -> Result<OrderView, NotTaken> {
    conn.transaction(async |conn| {
        let id = context.fresh_id;
        let done = command::create(&OrderRepository, conn, "order", id, context, placed).await?;
        let order = match done {
            Done::Moved(order) | Done::Unchanged(Some(order)) => order,
            Done::Unchanged(None) => return Err(diesel::result::Error::NotFound.into()),
        };
        let view = OrderView::from(Versioned {
            version: order.version,
            state: order.state,
        });
        take(conn, key, &view, patience).await?;
        Ok(view)
    })
    .await
}
