//! Who may pass, and how often.

use std::sync::Arc;

use actix_web::{HttpRequest, web};
use chassis::auth::Principal;
use chassis::problem::{Code, Problem};

use super::Passage;
use crate::limits::{Limits, Standing};
use crate::metrics::GatewayMetrics;

/// Probes and people ask it while something is wrong; it answers from memory when it is asked often.
const NOT_COUNTED: &str = "/health";

/// The limits and their counters, shared by all workers.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    limits: Arc<Limits>,
    metrics: GatewayMetrics,
}

impl Gate {
    /// A gate that turns away by `limits`.
    pub(crate) const fn new(limits: Arc<Limits>, metrics: GatewayMetrics) -> Self {
        Self { limits, metrics }
    }

    pub(super) fn count_address(&self, path: &str, passage: &Passage) -> Result<(), Problem> {
        if path == NOT_COUNTED {
            return Ok(());
        }
        self.judge(self.limits.address(passage.client), passage)
    }

    fn judge(&self, verdict: Result<Standing, Standing>, passage: &Passage) -> Result<(), Problem> {
        match verdict {
            Ok(standing) => {
                passage.note(standing);
                Ok(())
            }
            Err(standing) => {
                passage.note(standing);
                self.metrics.rate_limited(standing.limit);
                let detail = format!("the limit is {} requests a minute", standing.quota);
                Err(Problem::new(Code::RateLimited)
                    .detail(detail)
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
    judge(request, |limits, _| limits.user(principal.user_id))?;
    Ok(principal)
}

/// Counts an attempt on a password against the client's address.
///
/// # Errors
/// 429 over the limit.
pub(crate) fn admit_attempt(request: &HttpRequest) -> Result<(), Problem> {
    judge(request, |limits, passage| limits.login(passage.client))
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
