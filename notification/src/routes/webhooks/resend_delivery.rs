//! `POST /notifications/webhooks/{id}/deliveries/{delivery}/resend`

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::idempotency::{IdempotencyHeader, IdempotencyKey};
use chassis::problem::{Code, Problem};
use contracts::Context;
use diesel_async::AsyncConnection;
use messaging::once::{KeyError, once};
use messaging::{Conn, command};
use operations::{key_problem, request_key, respond};
use serde_json::json;
use thiserror::Error;

use super::view::DeliveryView;
use super::{audited, id, no_delivery, no_webhook};
use crate::app::State;
use crate::domain::{ResendError, resend};
use crate::store::{self, DeliveryRepository};

/// Why it is not sent again.
#[derive(Debug, Error)]
enum NotSent {
    #[error(transparent)]
    Refused(#[from] ResendError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

/// Sends a delivery again, now, under the same `webhook-id`. Pressed twice while it is being sent, it is sent once.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook"), ("delivery" = String, Path, format = "uuid", description = "The delivery"),
        IdempotencyHeader),
    responses(
        (status = 202, description = "It is on its way", body = DeliveryView,
            headers(("Idempotent-Replayed" = Option<String>))),
    ),
)]
#[post("/notifications/webhooks/{id}/deliveries/{delivery}/resend")]
pub(in crate::routes) async fn resend_delivery(
    caller: Principal,
    state: Data<State>,
    path: Path<(String, String)>,
    key: IdempotencyKey,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (webhook_id, delivery) = path.into_inner();
    let webhook_id = id(&webhook_id)?;
    let delivery = delivery.parse().map_err(|_no_id: uuid::Error| no_delivery())?;
    let mut conn = state.pool.get().await?;
    let webhook = store::webhook_of(&mut conn, webhook_id, caller.user_id).await?;
    if !webhook.ok_or_else(no_webhook)?.enabled {
        return Err(Problem::new(Code::Conflict).detail("the webhook is not enabled"));
    }
    // of this webhook?
    let there = store::delivery_of(&mut conn, delivery, webhook_id).await?;
    there.ok_or_else(no_delivery)?;
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: delivery,
    };
    let repository = DeliveryRepository(state.channels);
    let key = request_key(&caller, key, &request, &())?;
    let answer = conn
        .transaction(async |conn| {
            let work = async |conn: &mut Conn| {
                audited::record(conn, &caller, "resend-delivery", webhook_id, None, None).await?;
                let decide = |delivery, context: &Context| resend(delivery, context).map_err(NotSent::from);
                command::execute(&repository, conn, "notification", delivery, &context, decide).await?;
                let sent = store::delivery_of(conn, delivery, webhook_id).await?;
                Ok::<_, NotSent>(json!(sent.map(DeliveryView::from)))
            };
            once(conn, key.as_ref(), work).await
        })
        .await?;
    state.signals.committed();
    Ok(respond(HttpResponse::Accepted(), &answer))
}

impl From<NotSent> for Problem {
    fn from(error: NotSent) -> Self {
        match error {
            NotSent::Refused(ResendError::NotFound) => no_delivery(),
            NotSent::Refused(error @ ResendError::TooOften) => {
                Self::new(Code::Conflict).detail(error.to_string())
            }
            NotSent::Key(error) => key_problem(error),
            NotSent::Database(error) => error.into(),
        }
    }
}
