//! What is left of a request's body when its answer is there.
//!
//! The HTTP library reads on, without an end, when nobody holds a chunked body any more: it hopes to use the connection
//! again. While somebody does, it closes the connection a moment after the answer, as it does with bodies of a known
//! length. So the answer holds the body until it has been sent.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::web::Bytes;
use futures::Stream;

/// A body that two hold: who reads it, and the answer.
#[derive(Clone)]
pub(super) struct Unread(Rc<RefCell<Payload>>);

/// Holds the body of a chunked request; others need not be.
pub(super) fn hold(request: &mut ServiceRequest) -> Option<Unread> {
    if !request.headers().contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let held = Unread(Rc::new(RefCell::new(request.take_payload())));
    request.set_payload(Payload::Stream {
        payload: Box::pin(held.clone()),
    });
    Some(held)
}

impl Unread {
    /// Holds on until the answer has been sent.
    pub(super) fn until_sent(self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        response.map_body(|_, body| BoxBody::new(Answer { body, _held: self }))
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut payload = self.0.borrow_mut();
        Pin::new(&mut *payload).poll_next(context)
    }
}

struct Answer {
    body: BoxBody,
    _held: Unread,
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
