//! One request, made as often as that can do no harm and may help.

use std::pin::Pin;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::uri::Authority;
use awc::{ClientRequest, ClientResponse};
use tokio::time::{Instant, Sleep};

use super::download::is_event_stream;
use super::exchange::Exchange;
use super::places::Place;
use super::upload::Body;
use super::{Proxy, ProxyError};
use crate::domain::routing::{RouteClass, Upstream};
use crate::edge::Passage;

/// An answer, the timer that waited for it, and the place that it takes until its end.
pub(super) struct Answered {
    pub(super) response: ClientResponse,
    pub(super) timer: Pin<Box<Sleep>>,
    pub(super) deadline: Instant,
    pub(super) place: Place,
}

impl Proxy {
    /// Makes a request, and makes it again where that can do no harm and may help.
    pub(super) async fn exchange(
        &self,
        request: &HttpRequest,
        (upstream, class): (Upstream, RouteClass),
        outgoing: impl Fn(&Authority) -> Result<ClientRequest, ProxyError>,
        body: Option<&Body>,
        repeatable: bool,
    ) -> Result<Answered, ProxyError> {
        let service = self.config.service(upstream)?;
        let places = self.places(upstream, class)?;
        let place = places.enter().await?;
        let exchange = Exchange::begin(upstream, &self.config.settings);
        service.budget(class).earn();
        let mut tried = Vec::new();
        loop {
            let lease = service
                .pick(class, &tried)
                .map_err(|wait| ProxyError::Unavailable { upstream, wait })?;
            Passage::asks(request, upstream);
            let sending = match body {
                None => outgoing(lease.authority())?.send(),
                Some(body) => outgoing(lease.authority())?.send_body(body.upload()),
            };
            let error = match exchange.response(sending, body).await {
                Ok((response, timer)) => {
                    lease.answered(response.status());
                    let place = if is_event_stream(&response) {
                        places.to_stream(place)?
                    } else {
                        place
                    };
                    return Ok(Answered {
                        response,
                        timer,
                        deadline: exchange.deadline(),
                        place,
                    });
                }
                Err(error) => error,
            };
            tried.push(lease.authority().clone());
            if error.blames_the_service() {
                lease.failed();
            }
            let again = error.is_worth_another(repeatable)
                && body.is_none_or(Body::is_whole)
                && tried.len() <= self.config.settings.retries_max
                && service.budget(class).spend();
            if !again {
                return Err(error);
            }
            service.count_retry();
            tracing::debug!(
                upstream = upstream.name(),
                error.message = %error,
                "the request is made once more"
            );
            tokio::time::sleep(pause(tried.len())).await;
        }
    }
}

/// Before an attempt is repeated: a moment, longer each time, and not the same for all who wait.
fn pause(attempts: usize) -> Duration {
    let most_ms = 25_u64.saturating_mul(u64::try_from(attempts).unwrap_or(u64::MAX));
    Duration::from_millis(rand::random_range(most_ms / 2..=most_ms))
}
