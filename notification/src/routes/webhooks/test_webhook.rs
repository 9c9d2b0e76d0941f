//! `POST /notifications/webhooks/{id}/test`

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use chassis::auth::Principal;
use chassis::clock;
use chassis::problem::{Code, Problem, ProblemBody};
use contracts::Context;
use diesel_async::AsyncConnection;
use messaging::command;

use super::view::DeliveryView;
use super::{audited, id, no_delivery, no_webhook};
use crate::app::State;
use crate::domain::{Target, start};
use crate::store::{self, DeliveryRepository};

/// Sends a test message to a webhook of the caller's. It is tried once; what came of it is where `Location` points.
#[utoipa::path(
    tag = "webhooks",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The webhook")),
    responses(
        (status = 202, description = "It is on its way", body = DeliveryView, headers(("Location" = String))),
        (status = "4XX", description = "A problem with the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem on our side", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[post("/notifications/webhooks/{id}/test")]
pub(in crate::routes) async fn test_webhook(
    caller: Principal,
    state: Data<State>,
    path: Path<String>,
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
    conn.transaction(async |conn| {
        audited::record(conn, &caller, "test-webhook", webhook_id, None, None).await?;
        command::create(&repository, conn, "notification", delivery, &context, transition).await
    })
    .await?;
    state.signals.committed();
    let sent = store::delivery_of(&mut conn, delivery, webhook_id).await?;
    let location = format!("/notifications/webhooks/{webhook_id}/deliveries/{delivery}");
    Ok(HttpResponse::Accepted()
        .insert_header((LOCATION, location))
        .json(DeliveryView::from(sent.ok_or_else(no_delivery)?)))
}
