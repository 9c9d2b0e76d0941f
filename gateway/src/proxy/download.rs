//! A service's body on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use awc::ClientResponse;
use futures::Stream;
use thiserror::Error;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Why a body breaks off. The client sees a connection that ends too early, never a body that looks whole.
#[derive(Debug, Error)]
pub(super) enum DownloadError {
    #[error("the service's body broke off")]
    Broken(#[source] PayloadError),
    #[error("the exchange took too long")]
    TooSlow,
}

/// What ends a body from our side.
enum End {
    /// The deadline of the whole exchange.
    Deadline(Pin<Box<Sleep>>),
    /// An event stream lives until this process stops.
    Stop(Pin<Box<WaitForCancellationFutureOwned>>),
}

/// Passes a body on as it comes.
pub(super) struct Download {
    response: ClientResponse,
    size: BodySize,
    end: End,
}

impl Download {
    /// The body of `response`. `deadline` is a timer that is set to the end of the exchange.
    pub(super) fn new(
        response: ClientResponse,
        method: &Method,
        deadline: Pin<Box<Sleep>>,
        draining: &CancellationToken,
    ) -> Self {
        let size = size(&response, method);
        let end = if is_event_stream(&response) {
            End::Stop(Box::pin(draining.clone().cancelled_owned()))
        } else {
            End::Deadline(deadline)
        };
        Self { response, size, end }
    }

    /// Asked only while the service is silent: a body that flows costs no timer.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, DownloadError>>> {
        match &mut self.end {
            End::Deadline(timer) => timer
                .as_mut()
                .poll(context)
                .map(|()| Some(Err(DownloadError::TooSlow))),
            End::Stop(stop) => stop.as_mut().poll(context).map(|()| None),
        }
    }
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

fn is_event_stream(response: &ClientResponse) -> bool {
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
            Poll::Ready(next) => Poll::Ready(next.map(|chunk| chunk.map_err(DownloadError::Broken))),
            Poll::Pending => self.poll_end(context),
        }
    }
}
