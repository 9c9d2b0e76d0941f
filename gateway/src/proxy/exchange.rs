//! The clock of one exchange.

use std::pin::Pin;
use std::time::Duration;

use awc::{ClientResponse, SendClientRequest};
use tokio::time::{Instant, Sleep, sleep_until};

use super::error::ProxyError;
use super::upload::{Body, Progress};
use crate::config::ProxySettings;
use crate::domain::routing::Upstream;

/// One request to a service and its answer, with all attempts. A single timer serves an attempt's head and then the body.
pub(super) struct Exchange {
    upstream: Upstream,
    deadline: Instant,
    response_timeout: Duration,
    idle_timeout: Duration,
}

/// What an attempt waits for, and until when.
struct Patience {
    until: Instant,
    at_client: bool,
}

impl Exchange {
    pub(super) fn begin(upstream: Upstream, settings: &ProxySettings) -> Self {
        Self {
            upstream,
            deadline: Instant::now() + settings.total_timeout(),
            response_timeout: settings.response_timeout(),
            idle_timeout: settings.body_idle_timeout(),
        }
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits for the response's head, and hands it over with the timer.
    pub(super) async fn response(
        &self,
        mut sending: SendClientRequest,
        body: Option<&Body>,
    ) -> Result<(ClientResponse, Pin<Box<Sleep>>), ProxyError> {
        let begun_at = Instant::now();
        let mut timer = Box::pin(sleep_until(self.patience(begun_at, body).until));
        loop {
            tokio::select! {
                biased;
                outcome = &mut sending => {
                    let response = outcome.map_err(|error| ProxyError::from_send(error, self.upstream))?;
                    return Ok((response, timer));
                }
                () = timer.as_mut() => {
                    let patience = self.patience(begun_at, body);
                    if patience.until <= Instant::now() {
                        return Err(self.too_late(&patience));
                    }
                    timer.as_mut().reset(patience.until);
                }
            }
        }
    }

    /// The service's time runs from the end of the request: a slow client does not use it up. A client that falls silent
    /// uses up its own.
    fn patience(&self, begun_at: Instant, body: Option<&Body>) -> Patience {
        let (since, timeout, at_client) = match body.map(Body::progress) {
            None => (begun_at, self.response_timeout, false),
            Some(Progress::Ended(at) | Progress::Offered(at)) => (at, self.response_timeout, false),
            Some(Progress::Awaited(at)) => (at, self.idle_timeout, true),
        };
        Patience {
            until: (since.max(begun_at) + timeout).min(self.deadline),
            at_client,
        }
    }

    const fn too_late(&self, patience: &Patience) -> ProxyError {
        if patience.at_client {
            ProxyError::SlowUpload
        } else {
            ProxyError::UpstreamTimeout {
                upstream: self.upstream,
                cause: "response",
                sent: true,
            }
        }
    }
}
