//! Who may pass, and how often.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, ResponseError, web};
use chassis::auth::Principal;
use chassis::problem::{Code, Problem};

use super::Passage;
use crate::config::EdgeSettings;
use crate::limits::{Limits, Standing};
use crate::metrics::GatewayMetrics;

/// Probes and people ask it while something is wrong; it answers from memory when it is asked often.
const NOT_COUNTED: &str = "/health";

/// The limits and their counters, shared by all workers.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    limits: Arc<Limits>,
    settings: EdgeSettings,
    metrics: GatewayMetrics,
}

impl Gate {
    /// A gate that turns away by `limits`.
    pub(crate) const fn new(limits: Arc<Limits>, settings: EdgeSettings, metrics: GatewayMetrics) -> Self {
        Self {
            limits,
            settings,
            metrics,
        }
    }

    /// Whom the gateway believes, and what it tells browsers.
    pub(super) const fn settings(&self) -> &EdgeSettings {
        &self.settings
    }

    pub(super) fn count_address(&self, path: &str, passage: &Passage) -> Result<(), Problem> {
        if path == NOT_COUNTED || self.limits.exempts(passage.address) {
            return Ok(());
        }
        self.judge(self.limits.address(passage.address.into()), passage)
    }

    fn judge(&self, verdict: Result<Standing, Standing>, passage: &Passage) -> Result<(), Problem> {
        match verdict {
            Ok(standing) => {
                passage.note(standing);
                Ok(())
            }
            Err(standing) => {
                passage.refuse(standing);
                self.metrics.rate_limited(standing.limit);
                let detail = format!(
                    "the policy {:?} allows {} requests a minute",
                    standing.limit.name(),
                    standing.quota
                );
                Err(Problem::new(Code::RateLimited)
                    .detail(detail)
                    .violates(standing.limit.name())
                    .retry_after(standing.wait_s()))
            }
        }
    }
}

/// Lets the owner of a valid token pass, and counts the request against them.
///
/// # Errors
/// 401 without a valid token, 429 over the user's limit, 503 when no token can be judged.
pub(crate) async fn admit(request: &HttpRequest) -> Result<Principal, Problem> {
    let principal = Principal::of(request).await?;
    judge(request, |limits, _| {
        if principal.is_admin() {
            limits.admin(principal.user_id)
        } else {
            limits.user(principal.user_id)
        }
    })?;
    Ok(principal)
}

/// The middleware before endpoints that do not ask themselves: admits the owner of a valid token.
pub(crate) async fn admit_each<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // what there is to be asked is no secret
    if request.method() == Method::OPTIONS {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    match admit(request.request()).await {
        Ok(_principal) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Err(problem) => Ok(request.into_response(problem.error_response())),
    }
}

/// Counts an attempt on a password against the client's address.
///
/// # Errors
/// 429 over the limit.
pub(crate) fn admit_attempt(request: &HttpRequest) -> Result<(), Problem> {
    let exempt =
        |gate: &Gate| Passage::of(request).is_some_and(|passage| gate.limits.exempts(passage.address));
    if request
        .app_data::<web::Data<Gate>>()
        .is_some_and(|gate| exempt(gate))
    {
        return Ok(());
    }
    judge(request, |limits, passage| limits.login(passage.address.into()))
}

fn judge(
    request: &HttpRequest,
    verdict: impl FnOnce(&Limits, &Passage) -> Result<Standing, Standing>,
) -> Result<(), Problem> {
    let gate = request.app_data::<web::Data<Gate>>();
    let (Some(gate), Some(passage)) = (gate, Passage::of(request)) else {
        return Err(Problem::internal(anyhow::anyhow!(
            "a request came in beside the gate"
        )));
    };
    gate.judge(verdict(&gate.limits, &passage), &passage)
}
