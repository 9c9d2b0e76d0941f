//! `POST /orders`

use std::collections::HashMap;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::json::Json;
use chassis::problem::{Code, Problem, ProblemBody};
use contracts::{Context, MoneyError, Topic, Transition};
use diesel_async::AsyncConnection;
use garde::Validate;
use messaging::command::{self, Done};
use messaging::{Conn, Versioned, saga_log};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use utoipa::ToSchema;

use super::idempotency::IdempotencyKey;
use super::view::OrderView;
use crate::app::State;
use crate::domain::{Order, PlaceError, Product, place};
use crate::store::idempotency::{self, Taking};
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

/// Why the transaction did not commit.
#[derive(Debug, Error)]
enum NotStored {
    #[error("the idempotency key was taken meanwhile")]
    KeyTaken,
    #[error("another request has the idempotency key in hand")]
    KeyInHand,
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    #[error("the answer cannot be written as JSON")]
    Answer(#[from] serde_json::Error),
}

/// Places an order. It is pending until its payment is known; follow `Location`.
///
/// With an `Idempotency-Key`, sending the same body again gets the stored answer, and another body 422.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters, bare or in quotes",
        min_length = 1, max_length = 257, pattern = r#"^([!#-~]{1,255}|"[!#-~]{1,255}")$"#)),
    request_body = PlaceOrder,
    responses(
        (status = 202, description = "Placed; the payment follows", body = OrderView,
            headers(("Location" = String), ("Idempotent-Replayed" = Option<String>))),
        (status = "4XX", description = "A problem with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem on our side", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[post("/orders")]
pub(super) async fn place_order(
    caller: Principal,
    state: Data<State>,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<PlaceOrder>,
) -> Result<HttpResponse, Problem> {
    let payment_method = state
        .payment_methods
        .find(&body.payment_method)
        .map_err(|unknown| Problem::invalid("/payment_method", unknown.to_string()))?;
    let key = key.map(|key| Key {
        customer: caller.user_id.uuid(),
        key,
        hash: hash(&body),
    });
    let mut conn = state.pool.get().await?;
    if let Some(answer) = replayed(&mut conn, key.as_ref()).await? {
        return Ok(answer);
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
        Err(NotStored::KeyTaken) => replayed(&mut conn, key.as_ref()).await?.ok_or_else(in_flight),
        Err(NotStored::KeyInHand) => Err(in_flight()),
        Err(NotStored::Database(error)) => Err(error.into()),
        Err(NotStored::Answer(error)) => Err(Problem::internal(error)),
    }
}

fn in_flight() -> Problem {
    Problem::new(Code::IdempotencyInFlight).retry_after(1)
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

struct Key {
    customer: uuid::Uuid,
    key: String,
    hash: Vec<u8>,
}

/// Of what was understood, so that white space and the order of members do not matter.
fn hash(body: &PlaceOrder) -> Vec<u8> {
    let canonical = serde_json::to_vec(body).unwrap_or_default();
    Sha256::digest(canonical).to_vec()
}

/// The stored answer, where the key has been used.
async fn replayed(conn: &mut Conn, key: Option<&Key>) -> Result<Option<HttpResponse>, Problem> {
    let Some(key) = key else { return Ok(None) };
    let Some(used) = idempotency::find(conn, key.customer, &key.key).await? else {
        return Ok(None);
    };
    if used.request_hash != key.hash {
        return Err(Problem::new(Code::IdempotencyMismatch));
    }
    let id = used
        .response
        .get("id")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    let mut response = accepted(id);
    response.insert_header(("Idempotent-Replayed", "true"));
    Ok(Some(response.json(&used.response)))
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
) -> Result<OrderView, NotStored> {
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
        if let Some(key) = key {
            let answer = serde_json::to_value(&view)?;
            match idempotency::take(conn, key.customer, &key.key, &key.hash, &answer, patience).await? {
                Taking::Taken => {}
                Taking::Used => return Err(NotStored::KeyTaken),
                Taking::InHand => return Err(NotStored::KeyInHand),
            }
        }
        Ok(view)
    })
    .await
}
