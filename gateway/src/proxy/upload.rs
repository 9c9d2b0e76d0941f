//! The request's body on its way to a service.

use std::cell::RefCell;
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
    #[error("the beginning of the body is gone")]
    Gone,
}

/// A client's body. It is passed on chunk by chunk as the service takes it, up to a limit; its beginning is kept as long as
/// it is short and the request may be repeated.
#[derive(Clone)]
pub(super) struct Body {
    source: Rc<RefCell<Source>>,
    size: BodySize,
}

struct Source {
    payload: Payload,
    declared_bytes: Option<u64>,
    limit_bytes: u64,
    seen_bytes: u64,
    kept: Vec<Bytes>,
    keep_max: u64,
    progress: Progress,
}

/// How far a body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The last byte was passed on.
    Ended(Instant),
    /// The client was waited for since then.
    Awaited(Instant),
    /// The service has yet to take what is there, since then.
    Offered(Instant),
}

impl Body {
    /// A body of `declared_bytes` as the client says, if it does. Up to `keep_max` bytes are kept for a repetition.
    ///
    /// # Errors
    /// A client that admits to more than the limit is not even listened to.
    pub(super) fn new(
        payload: Payload,
        declared_bytes: Option<u64>,
        limit_bytes: u64,
        keep_max: u64,
    ) -> Result<Self, UploadError> {
        if declared_bytes.is_some_and(|declared| declared > limit_bytes) {
            return Err(UploadError::TooLarge { limit_bytes });
        }
        let source = Source {
            payload,
            declared_bytes,
            limit_bytes,
            seen_bytes: 0,
            kept: Vec::new(),
            keep_max,
            progress: Progress::Offered(Instant::now()),
        };
        Ok(Self {
            source: Rc::new(RefCell::new(source)),
            size: declared_bytes.map_or(BodySize::Stream, BodySize::Sized),
        })
    }

    /// The body for one attempt, from its beginning.
    pub(super) fn upload(&self) -> Upload {
        Upload {
            body: self.clone(),
            place: 0,
        }
    }

    /// Whether it can be sent from its beginning.
    pub(super) fn is_whole(&self) -> bool {
        self.source.borrow().is_whole()
    }

    pub(super) fn progress(&self) -> Progress {
        self.source.borrow().progress
    }
}

impl Source {
    fn is_whole(&self) -> bool {
        self.seen_bytes == 0 || self.seen_bytes <= self.keep_max
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        match Pin::new(&mut self.payload).poll_next(context) {
            Poll::Ready(Some(Ok(chunk))) => Poll::Ready(Some(self.count(chunk))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(UploadError::Broken(error)))),
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                if !matches!(self.progress, Progress::Awaited(_)) {
                    self.progress = Progress::Awaited(Instant::now());
                }
                Poll::Pending
            }
        }
    }

    fn count(&mut self, chunk: Bytes) -> Result<Bytes, UploadError> {
        self.seen_bytes =
            u64::try_from(chunk.len()).map_or(u64::MAX, |more| self.seen_bytes.saturating_add(more));
        if self.seen_bytes > self.limit_bytes {
            return Err(UploadError::TooLarge {
                limit_bytes: self.limit_bytes,
            });
        }
        if self.seen_bytes <= self.keep_max {
            self.kept.push(chunk.clone());
        } else {
            self.kept = Vec::new();
        }
        self.progress = Progress::Offered(Instant::now());
        if self.declared_bytes == Some(self.seen_bytes) {
            self.end();
        }
        Ok(chunk)
    }

    fn end(&mut self) {
        if !matches!(self.progress, Progress::Ended(_)) {
            self.progress = Progress::Ended(Instant::now());
        }
    }
}

/// The body of one attempt.
pub(super) struct Upload {
    body: Body,
    place: usize,
}

impl MessageBody for Upload {
    type Error = UploadError;

    fn size(&self) -> BodySize {
        self.body.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let shared = self.body.source.clone();
        let mut source = shared.borrow_mut();
        if let Some(kept) = source.kept.get(self.place) {
            let kept = kept.clone();
            self.place += 1;
            return Poll::Ready(Some(Ok(kept)));
        }
        if self.place == 0 && !source.is_whole() {
            return Poll::Ready(Some(Err(UploadError::Gone)));
        }
        if matches!(source.progress, Progress::Ended(_)) {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(source.poll(context));
        self.place += 1;
        Poll::Ready(next)
    }
}
