//! `POST /payments/webhooks/stripe`

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use chassis::clock;
use chassis::json::require_plain;
use chassis::problem::{Code, Problem};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{State, Webhooks};
use crate::provider::stripe::inbox::{self, NotReceived, Outcome};
use crate::provider::stripe::signature::{self, BadSignature};

const SIGNATURE: &str = "stripe-signature";

impl From<NotReceived> for Problem {
    fn from(error: NotReceived) -> Self {
        match error {
            NotReceived::Malformed(error) => Self::new(Code::BadRequest)
                .detail("the body is not an event of stripe's")
                .caused_by(error),
            NotReceived::Provider(error) => error.into(),
        }
    }
}

impl From<BadSignature> for Problem {
    fn from(error: BadSignature) -> Self {
        tracing::warn!(error.message = %error, "webhook refused");
        Self::new(Code::BadRequest).detail(error.to_string())
    }
}

/// The event was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Received {
    /// Always true.
    received: bool,
    /// It was received before, and does nothing again.
    duplicate: bool,
}

/// Where Stripe tells what became of payments, and of their disputes. Needs no token: the signature is the proof. Events that do not matter are
/// received and ignored.
#[utoipa::path(
    tag = "stripe",
    params(("Stripe-Signature" = String, Header, description = "`t=<seconds>,v1=<hex HMAC-SHA256>`, over the body exactly as it is")),
    request_body(content = Object, description = "A Stripe event", content_type = "application/json", example = json!({
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": 1_795_946_400,
        "livemode": false,
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "status": "succeeded"}},
    })),
    responses(
        (status = 200, description = "Taken in, or of no matter", body = Received),
        (status = 400, description = "Not signed by Stripe, or too old"),
        (status = 404, description = "Webhooks are not set up"),
    ),
)]
#[post("/payments/webhooks/stripe")]
pub(super) async fn stripe_webhook(
    request: HttpRequest,
    state: Data<State>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let webhooks = state.webhooks.as_deref().ok_or_else(not_set_up)?;
    require_plain(&request)?;
    let limit = webhooks.settings.webhook_body_limit_bytes;
    let too_large = |_| Problem::new(Code::PayloadTooLarge).detail(format!("the limit is {limit} bytes"));
    let body = body.to_bytes_limited(limit).await.map_err(too_large)?;
    let body = body.map_err(|error| {
        Problem::new(Code::BadRequest)
            .detail("the body could not be read")
            .caused_by(anyhow::anyhow!("{error}"))
    })?;
    verify(&request, &body, webhooks)?;
    let outcome = inbox::receive(&webhooks.stripe, &webhooks.metrics, &body).await?;
    if outcome == Outcome::Applied {
        webhooks.signals.committed();
    }
    Ok(HttpResponse::Ok().json(Received {
        received: true,
        duplicate: outcome == Outcome::Duplicate,
    }))
}

fn not_set_up() -> Problem {
    Problem::new(Code::NotFound).detail("stripe's webhooks are not set up")
}

fn verify(request: &HttpRequest, body: &[u8], webhooks: &Webhooks) -> Result<(), BadSignature> {
    let mut headers = request.headers().get_all(SIGNATURE);
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(BadSignature::Malformed);
    };
    let header = header.to_str().map_err(|_not_text| BadSignature::Malformed)?;
    let settings = &webhooks.settings;
    signature::verify(
        header,
        body,
        settings.webhook_secret.expose_secret(),
        clock::now(),
        settings.webhook_tolerance_s,
    )
}
