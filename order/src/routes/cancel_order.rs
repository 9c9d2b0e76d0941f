//! `POST /orders/{id}/cancel`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::problem::{Code, Problem, ProblemBody};
use contracts::{Context, OrderId, Topic, UserId};
use diesel_async::AsyncConnection;
use messaging::command::{self, Done};
use messaging::{Conn, Versioned, saga_log};
use thiserror::Error;

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
    Database(#[from] diesel::result::Error),
}

impl From<NotCancelled> for Problem {
    fn from(error: NotCancelled) -> Self {
        match error {
            NotCancelled::Refused(CancelError::NotFound) => not_found(),
            NotCancelled::Refused(refused @ CancelError::AlreadyCancelled(_)) => {
                Self::new(Code::Conflict).detail(refused.to_string())
            }
            NotCancelled::Database(error) => error.into(),
        }
    }
}

/// Takes an order back, before or after it is paid; money that was taken is given back.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The order")),
    responses(
        (status = 202, description = "Cancelled; a refund follows where one is due", body = OrderView),
        (status = "4XX", description = "A problem with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem on our side", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[post("/orders/{id}/cancel")]
pub(super) async fn cancel_order(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = order_id(&path)?;
    let by = (!caller.is_admin()).then_some(caller.user_id);
    let mut conn = state.pool.get().await?;
    let order = store(&mut conn, id, by).await?;
    state.signals.committed();
    Ok(HttpResponse::Accepted().json(OrderView::from(order)))
}

async fn store(conn: &mut Conn, id: OrderId, by: Option<UserId>) -> Result<Versioned<Order>, NotCancelled> {
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: id.uuid(),
    };
    let done = conn
        .transaction(async |conn| {
            let decide = |order, context: &Context| cancel(order, by, context).map_err(NotCancelled::from);
            command::execute(&OrderRepository, conn, "order", id.uuid(), &context, decide).await
        })
        .await?;
    match done {
        Done::Moved(order) => {
            saga_log::tell(&context, "cancel-order", &[Topic::OrderCancelled.name()]);
            Ok(order)
        }
        Done::Unchanged(Some(order)) => Ok(order),
        Done::Unchanged(None) => Err(CancelError::NotFound.into()),
    }
}
