//! A service's body on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use awc::ClientResponse;
use futures::Stream;
use thiserror::Error;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::attempts::Answered;
use super::places::Place;

/// Why a body breaks off. The client sees a connection that ends too early, never a body that looks whole.
#[derive(Debug, Error)]
pub(super) enum DownloadError {
    #[error("the service's body broke off")]
    Broken(#[source] PayloadError),
    #[error("the exchange took too long")]
    TooSlow,
}

/// How long a service may be silent.
pub(super) struct Patience {
    /// Within a body.
    pub(super) idle: Duration,
    /// Within an event stream.
    pub(super) stream_idle: Duration,
}

/// Passes a body on as it comes.
pub(super) struct Download {
    response: ClientResponse,
    _place: Place,
    size: BodySize,
    timer: Pin<Box<Sleep>>,
    /// Of the whole exchange; event streams have none.
    deadline: Option<Instant>,
    idle: Duration,
    /// Since when the service has been waited for; not at all while the client is.
    awaited_since: Option<Instant>,
    /// An event stream ends when this process stops.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Download {
    /// The body of an answer.
    pub(super) fn new(
        answered: Answered,
        method: &Method,
        patience: &Patience,
        draining: &CancellationToken,
    ) -> Self {
        let Answered {
            response,
            mut timer,
            deadline,
            place,
        } = answered;
        let size = size(&response, method);
        let streams = is_event_stream(&response);
        let (deadline, idle) = if streams {
            (None, patience.stream_idle)
        } else {
            (Some(deadline), patience.idle)
        };
        timer.as_mut().reset(earlier(Instant::now() + idle, deadline));
        Self {
            response,
            _place: place,
            size,
            timer,
            deadline,
            idle,
            awaited_since: None,
            stop: streams.then(|| Box::pin(draining.clone().cancelled_owned())),
        }
    }

    fn is_too_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Asked only while the service is silent. The timer is set anew only when it fires: a body that flows costs none.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, DownloadError>>> {
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(None);
        }
        let since = *self.awaited_since.get_or_insert_with(Instant::now);
        let until = earlier(since + self.idle, self.deadline);
        while self.timer.as_mut().poll(context).is_ready() {
            if until <= Instant::now() {
                return Poll::Ready(Some(Err(DownloadError::TooSlow)));
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

fn earlier(time: Instant, deadline: Option<Instant>) -> Instant {
    deadline.map_or(time, |deadline| deadline.min(time))
}

/// A length is passed on where the service gave one, so that a body that breaks off is seen as such.
fn size(response: &ClientResponse, method: &Method) -> BodySize {
    if matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        return BodySize::None;
    }
    let declared = response.headers().get(CONTENT_LENGTH);
    let length = declared
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    match length {
        Some(length) => BodySize::Sized(length),
        None if method == Method::HEAD => BodySize::None,
        None => BodySize::Stream,
    }
}

pub(super) fn is_event_stream(response: &ClientResponse) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

impl MessageBody for Download {
    type Error = DownloadError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match Pin::new(&mut self.response).poll_next(context) {
            // a service that never falls silent is held to the deadline, too, and so is a client that takes little at a time
            Poll::Ready(Some(Ok(_))) if self.is_too_late() => Poll::Ready(Some(Err(DownloadError::TooSlow))),
            Poll::Ready(next) => {
                self.awaited_since = None;
                Poll::Ready(next.map(|chunk| chunk.map_err(DownloadError::Broken)))
            }
            Poll::Pending => self.poll_end(context),
        }
    }
}
