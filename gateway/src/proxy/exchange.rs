//! The clock of one exchange.

use std::pin::Pin;
use std::time::Duration;

use awc::{ClientResponse, SendClientRequest};
use tokio::time::{Instant, Sleep, sleep_until};

use super::error::ProxyError;
use super::upload::Progress;
use crate::config::ProxySettings;
use crate::domain::routing::Upstream;

/// One request to a service and its answer. A single timer serves the head and then the body.
pub(super) struct Exchange {
    upstream: Upstream,
    begun_at: Instant,
    deadline: Instant,
    response_timeout: Duration,
}

impl Exchange {
    pub(super) fn begin(upstream: Upstream, settings: &ProxySettings) -> Self {
        let begun_at = Instant::now();
        let deadline = begun_at + settings.total_timeout();
        Self {
            upstream,
            begun_at,
            deadline,
            response_timeout: settings.response_timeout(),
        }
    }

    /// Waits for the response's head, and hands it over with the timer set to the end of the exchange.
    pub(super) async fn response(
        self,
        mut sending: SendClientRequest,
        upload: Option<Progress>,
    ) -> Result<(ClientResponse, Pin<Box<Sleep>>), ProxyError> {
        let mut timer = Box::pin(sleep_until(self.patience(Some(self.begun_at))));
        loop {
            tokio::select! {
                biased;
                outcome = &mut sending => {
                    let response = outcome.map_err(|error| ProxyError::from_send(error, self.upstream))?;
                    timer.as_mut().reset(self.deadline);
                    return Ok((response, timer));
                }
                () = timer.as_mut() => {
                    let sent_at = upload.as_ref().map_or(Some(self.begun_at), Progress::ended_at);
                    timer.as_mut().reset(self.go_on(sent_at)?);
                }
            }
        }
    }

    /// The service's time runs from the end of the request: a slow client does not use it up.
    fn patience(&self, sent_at: Option<Instant>) -> Instant {
        (sent_at.unwrap_or_else(Instant::now) + self.response_timeout).min(self.deadline)
    }

    fn go_on(&self, sent_at: Option<Instant>) -> Result<Instant, ProxyError> {
        let now = Instant::now();
        match sent_at {
            None if now >= self.deadline => Err(ProxyError::SlowUpload),
            Some(_) if self.patience(sent_at) <= now => Err(ProxyError::UpstreamTimeout {
                upstream: self.upstream,
                cause: "response",
            }),
            Some(_) | None => Ok(self.patience(sent_at)),
        }
    }
}
