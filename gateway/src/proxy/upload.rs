//! The request's body on its way to a service.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures::Stream;
use thiserror::Error;
use tokio::time::Instant;

/// Why a body broke off.
#[derive(Debug, Error)]
pub(super) enum UploadError {
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("the body could not be read")]
    Broken(#[source] PayloadError),
}

/// Passes a body on, chunk by chunk as the service takes it, up to a limit.
pub(super) struct Upload {
    payload: Payload,
    size: BodySize,
    limit_bytes: u64,
    seen_bytes: u64,
    progress: Progress,
}

/// When the last byte of a body was passed on.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    ended_at: Rc<Cell<Option<Instant>>>,
}

impl Progress {
    pub(super) fn ended_at(&self) -> Option<Instant> {
        self.ended_at.get()
    }
}

impl Upload {
    /// A body of `declared_bytes` as the client says, if it does.
    ///
    /// # Errors
    /// A client that admits to more than the limit is not even listened to.
    pub(super) fn new(
        payload: Payload,
        declared_bytes: Option<u64>,
        limit_bytes: u64,
    ) -> Result<(Self, Progress), UploadError> {
        if declared_bytes.is_some_and(|declared| declared > limit_bytes) {
            return Err(UploadError::TooLarge { limit_bytes });
        }
        let size = declared_bytes.map_or(BodySize::Stream, BodySize::Sized);
        let progress = Progress::default();
        Ok((
            Self {
                payload,
                size,
                limit_bytes,
                seen_bytes: 0,
                progress: progress.clone(),
            },
            progress,
        ))
    }

    fn count(&mut self, chunk: Bytes) -> Result<Bytes, UploadError> {
        self.seen_bytes =
            u64::try_from(chunk.len()).map_or(u64::MAX, |more| self.seen_bytes.saturating_add(more));
        if self.seen_bytes > self.limit_bytes {
            return Err(UploadError::TooLarge {
                limit_bytes: self.limit_bytes,
            });
        }
        if self.size == BodySize::Sized(self.seen_bytes) {
            self.end();
        }
        Ok(chunk)
    }

    fn end(&self) {
        self.progress.ended_at.set(Some(Instant::now()));
    }
}

impl MessageBody for Upload {
    type Error = UploadError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = std::task::ready!(Pin::new(&mut self.payload).poll_next(context));
        Poll::Ready(match next {
            Some(Ok(chunk)) => Some(self.count(chunk)),
            Some(Err(error)) => Some(Err(UploadError::Broken(error))),
            None => {
                self.end();
                None
            }
        })
    }
}
