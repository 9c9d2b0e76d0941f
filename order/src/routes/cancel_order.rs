//! `POST /orders/{id}/cancel`

use std::time::Duration;

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::idempotency::{IdempotencyHeader, IdempotencyKey, REPLAYED};
use chassis::problem::{Code, Problem};
use contracts::{Context, OrderId, Topic, UserId};
use diesel_async::AsyncConnection;
use messaging::command::{self, Done};
use messaging::operations::{self, Deed};
use messaging::{Conn, Versioned, saga_log};
use serde_json::{Value, json};
use thiserror::Error;

use super::examples;
use super::idempotency::{Key, NotTaken, answered, take};
use super::view::OrderView;
use super::{not_found, order_id};
use crate::app::State;
use crate::domain::{CancelError, Order, cancel};
use crate::store::OrderRepository;

#[derive(Debug, Error)]
enum NotCancelled {
    #[error(transparent)]
    Refused(#[from] CancelError),
    #[error(transparent)]
    Key(#[from] NotTaken),
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

impl From<NotCancelled> for Problem {
    fn from(error: NotCancelled) -> Self {
        match error {
            NotCancelled::Refused(CancelError::NotFound) => not_found(),
            NotCancelled::Refused(refused @ CancelError::AlreadyCancelled(_)) => {
                Self::new(Code::Conflict).detail(refused.to_string())
            }
            NotCancelled::Key(error) => error.into(),
            NotCancelled::Database(error) => error.into(),
        }
    }
}

/// Takes an order back, before or after it is paid; money that was taken is given back.
///
/// With an `Idempotency-Key`, sending the same again gets the stored answer. A key counts for one order.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The order"),
        IdempotencyHeader),
    responses(
        (status = 202, description = "Cancelled; a refund follows where one is due", body = OrderView,
            headers(("Idempotent-Replayed" = Option<String>)), example = json!(examples::cancelled())),
    ),
)]
#[post("/orders/{id}/cancel")]
pub(super) async fn cancel_order(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<HttpResponse, Problem> {
    let id = order_id(&path)?;
    let by = if caller.is_admin() {
        By::Admin(caller.user_id)
    } else {
        By::Customer(caller.user_id)
    };
    // a key counts for the order that it came for: that of a placement, or of another cancellation, is another one
    let key = IdempotencyKey(key.map(|key| format!("cancel:{id}:{key}")));
    let key = Key::of(&caller, key, &json!({ "cancel": id }))?;
    let mut conn = state.pool.get().await?;
    if let Some(answer) = answered(&mut conn, key.as_ref()).await? {
        return Ok(replayed(&answer));
    }
    match store(&mut conn, id, by, key.as_ref(), state.key_patience).await {
        Ok(order) => {
            state.signals.committed();
            Ok(HttpResponse::Accepted().json(order))
        }
        // the same request may have been first
        Err(error @ (NotCancelled::Refused(_) | NotCancelled::Key(NotTaken::Used))) => {
            match answered(&mut conn, key.as_ref()).await? {
                Some(answer) => Ok(replayed(&answer)),
                None => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn replayed(answer: &Value) -> HttpResponse {
    HttpResponse::Accepted().insert_header(REPLAYED).json(answer)
}

/// Who takes an order back.
#[derive(Debug, Clone, Copy)]
enum By {
    /// One of their own.
    Customer(UserId),
    /// Anybody's; the audit tells.
    Admin(UserId),
}

impl By {
    /// Whose order it must be.
    const fn customer(self) -> Option<UserId> {
        match self {
            Self::Customer(customer) => Some(customer),
            Self::Admin(_) => None,
        }
    }
}

/// The cancellation, what it says and the idempotency key, all or nothing.
async fn store(
    conn: &mut Conn,
    id: OrderId,
    by: By,
    key: Option<&Key>,
    patience: Duration,
) -> Result<OrderView, NotCancelled> {
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: id.uuid(),
    };
    let (view, moved) = conn
        .transaction(async |conn| {
            let mut before = None;
            let decide = |order: Option<Order>, context: &Context| {
                before = order.as_ref().map(|order| order.status.name());
                cancel(order, by.customer(), context).map_err(NotCancelled::from)
            };
            let done = command::execute(&OrderRepository, conn, "order", id.uuid(), &context, decide).await?;
            let (order, moved): (Versioned<Order>, bool) = match done {
                Done::Moved(order) => (order, true),
                Done::Unchanged(Some(order)) => (order, false),
                Done::Unchanged(None) => return Err(CancelError::NotFound.into()),
            };
            if let (By::Admin(actor), true) = (by, moved) {
                let deed = Deed {
                    actor: actor.uuid(),
                    action: "cancel-order",
                    resource: &format!("/orders/{id}"),
                    before: Some(json!({"status": before})),
                    after: Some(json!({"status": order.state.status.name()})),
                };
                operations::record(conn, deed).await?;
            }
            let view = OrderView::from(order);
            take(conn, key, &view, patience).await?;
            Ok::<_, NotCancelled>((view, moved))
        })
        .await?;
    if moved {
        saga_log::tell(&context, "cancel-order", &[Topic::OrderCancelled.name()]);
    }
    Ok(view)
}
