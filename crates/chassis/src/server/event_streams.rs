//! Event streams whose client is gone.
//!
//! A client of HTTP/1.1 that leaves closes its connection, which shows at once. One of HTTP/2 resets the stream, and the HTTP
//! library notices that only when it next writes. So a stream over HTTP/2 that is silent says an empty comment now and then:
//! whatever it holds, here and at the services behind, is free again soon after its client has left.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::time::{Instant, Sleep, sleep};

/// Between two events. Clients ignore it.
const COMMENT: &[u8] = b":\n\n";

/// A stream's body with comments between its events.
pub(super) struct Commented {
    body: BoxBody,
    every: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the last event has been written to its end.
    between: bool,
    /// The last byte that was written.
    last: u8,
}

impl Commented {
    /// A comment whenever the stream was silent for `every`.
    pub(super) fn new(body: BoxBody, every: Duration) -> Self {
        Self {
            body,
            every,
            timer: Box::pin(sleep(every)),
            between: true,
            last: b'\n',
        }
    }

    fn note(&mut self, written: &[u8]) {
        if let [.., before, last] = *written {
            self.between = (before, last) == (b'\n', b'\n');
            self.last = last;
        } else if let [last] = *written {
            self.between = (self.last, last) == (b'\n', b'\n');
            self.last = last;
        }
        self.timer.as_mut().reset(Instant::now() + self.every);
    }
}

impl MessageBody for Commented {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(chunk))) = &next {
            self.note(chunk);
        }
        if next.is_ready() {
            return next;
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let again = Instant::now() + self.every;
            self.timer.as_mut().reset(again);
            if self.between {
                return Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::BodyStream;
    use futures::StreamExt;
    use futures::channel::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_silent_stream_says_a_comment_and_none_within_an_event() {
        let (events, body) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
        let body = BoxBody::new(BodyStream::new(body));
        let mut commented = Commented::new(body, Duration::from_millis(20));
        let mut next = async || {
            let next = std::future::poll_fn(|context| Pin::new(&mut commented).poll_next(context));
            let next = tokio::time::timeout(Duration::from_millis(200), next).await;
            next.ok().map(|chunk| chunk.unwrap().unwrap())
        };
        let say = |text: &'static str| {
            let event = Ok(Bytes::from_static(text.as_bytes()));
            events.unbounded_send(event).unwrap();
        };
        assert_eq!(next().await.unwrap(), COMMENT);
        for whole in ["data: 1\n\n", "data: 2\n", "\n"] {
            say(whole);
            assert_eq!(next().await.unwrap(), whole);
        }
        assert_eq!(next().await.unwrap(), COMMENT);
        for part in ["data: 3", "\n"] {
            say(part);
            assert_eq!(next().await.unwrap(), part);
            assert_eq!(next().await, None, "an event is under way");
        }
        drop(events);
        let end = futures::stream::poll_fn(|context| Pin::new(&mut commented).poll_next(context));
        assert_eq!(end.count().await, 0);
    }
}
