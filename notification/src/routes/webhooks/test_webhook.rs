//! `POST /notifications/webhooks/{id}/test`

use actix_web::http::header::LOCATION;
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
use serde_json::{Value, json};
use thiserror::Error;

use super::view::DeliveryView;
use super::{audited, id, no_webhook};
use crate::app::State;
use crate::domain::{Target, start};
use crate::store::{self, DeliveryRepository};

/// Why no test message is sent.
#[derive(Debug, Error)]
enum NotTested {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

/// Sends a test message to a webhook of the caller's. It is tried once; what came of it is where `Location` points.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook"), IdempotencyHeader),
    responses(
        (status = 202, description = "It is on its way", body = DeliveryView, 
            headers(("Location" = String), ("Idempotent-Replayed" = Option<String>))),
    ),
)]
#[post("/notifications/webhooks/{id}/test")]
pub(in crate::routes) async fn test_webhook(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
    key: IdempotencyKey,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let webhook_id = id(&path)?;
    let mut conn = state.pool.get().await?;
    let webhook = store::webhook_of(&mut conn, webhook_id, caller.user_id).await?;
    if !webhook.ok_or_else(no_webhook)?.enabled {
        return Err(Problem::new(Code::Conflict).detail("the webhook is not enabled"));
    }
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: webhook_id,
    };
    let delivery = context.fresh_id;
    let transition = start(caller.user_id, None, Target::Webhook(webhook_id), &context);
    let repository = DeliveryRepository(state.channels);
    let key = request_key(&caller, key, &request, &())?;
    let answer = conn
        .transaction(async |conn| {
            let work = async |conn: &mut Conn| {
                audited::record(conn, &caller, "test-webhook", webhook_id, None, None).await?;
                command::create(&repository, conn, "notification", delivery, &context, transition).await?;
                let sent = store::delivery_of(conn, delivery, webhook_id).await?;
                Ok::<_, NotTested>(json!(sent.map(DeliveryView::from)))
            };
            once(conn, key.as_ref(), work).await
        })
        .await?;
    state.signals.committed();
    let delivery = answer
        .document
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let location = format!("/notifications/webhooks/{webhook_id}/deliveries/{delivery}");
    let mut response = HttpResponse::Accepted();
    response.insert_header((LOCATION, location));
    Ok(respond(response, &answer))
}

impl From<NotTested> for Problem {
    fn from(error: NotTested) -> Self {
        match error {
            NotTested::Key(error) => key_problem(error),
            NotTested::Database(error) => error.into(),
        }
    }
}
