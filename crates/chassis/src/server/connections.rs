//! What a connection may cost: how long it may do nothing, how slowly it may take an answer, how much it may ask at once.
//!
//! The HTTP library has a clock for the first head of a connection and one for a connection that is idle. Whoever sends the
//! first byte of a second head and no more has stopped both, and an answer that is taken a few bytes at a time has none. So
//! each connection is watched from beside: by a second handle of its socket, which ends with the connection.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use actix_web::{Error, ResponseError};
use socket2::{SockRef, Socket};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::event_streams::Commented;
use crate::problem::{Code, Problem};
use crate::settings::HttpSettings;

/// What each connection is held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long it may be without a request: as an idle one may, and for a head.
    idle: Duration,
    /// How long an answer may take from its head to its end. Event streams may go on.
    answer: Duration,
    /// Requests at once.
    requests: usize,
    /// How long an event stream may be silent before it is looked whether anybody is there.
    look: Duration,
}

impl Limits {
    pub(super) fn of(settings: &HttpSettings) -> Self {
        Self {
            idle: Duration::from_secs(settings.keep_alive_s)
                + Duration::from_millis(settings.header_timeout_ms),
            answer: Duration::from_millis(settings.answer_timeout_ms),
            requests: settings.requests_per_connection.get(),
            look: Duration::from_millis(settings.event_stream_look_ms.max(1)),
        }
    }
}

/// A connection, as it is seen from beside. Owned by the connection itself and the requests on it, all on one worker.
#[derive(Debug)]
struct Connection {
    /// None when the process has no handle left: then it ends with its first answer.
    socket: Option<Socket>,
    limits: Limits,
    requests: Cell<usize>,
    idle_since: Cell<Instant>,
    /// When the answers that are under way began, the oldest first.
    answers: RefCell<BTreeMap<u64, Instant>>,
    answers_begun: Cell<u64>,
    /// Dropped with the connection, which ends its watch.
    _open: oneshot::Sender<()>,
}

/// Begins to watch a connection that has been accepted.
pub(super) fn watch(stream: Option<&TcpStream>, limits: Limits, data: &mut Extensions) {
    let Some(stream) = stream else { return };
    let socket = SockRef::from(stream)
        .try_clone()
        .inspect_err(|error| tracing::warn!(error.message = %error, "a connection goes unwatched"));
    let (open, closed) = oneshot::channel();
    let connection = Rc::new(Connection {
        socket: socket.ok(),
        limits,
        requests: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
        answers: RefCell::default(),
        answers_begun: Cell::new(0),
        _open: open,
    });
    if connection.socket.is_some() {
        tokio::task::spawn_local(look_after(Rc::downgrade(&connection), closed));
    }
    data.insert(connection);
}

/// The connection under one that is secured.
pub(super) fn secured(io: &dyn Any) -> Option<&TcpStream> {
    let secured = io.downcast_ref::<TlsStream<TcpStream>>()?;
    Some(secured.get_ref().0)
}

/// Cuts the connection when its time is over. Ends with it.
async fn look_after(connection: Weak<Connection>, mut closed: oneshot::Receiver<()>) {
    while let Some(look) = connection.upgrade().map(|connection| connection.next_look()) {
        tokio::select! {
            _ = &mut closed => return,
            () = sleep_until(look) => {}
        }
        if connection
            .upgrade()
            .is_some_and(|connection| connection.cut_if_due())
        {
            return;
        }
    }
}

impl Connection {
    /// When its time is over, as things are.
    fn deadline(&self) -> Option<Instant> {
        if self.requests.get() == 0 {
            return Some(self.idle_since.get() + self.limits.idle);
        }
        let answers = self.answers.borrow();
        let oldest = answers.first_key_value().map(|(_, begun_at)| *begun_at);
        oldest.map(|begun_at| begun_at + self.limits.answer)
    }

    /// The deadline, but soon enough for that of any answer that begins meanwhile.
    fn next_look(&self) -> Instant {
        let soon = Instant::now() + self.limits.answer;
        self.deadline().map_or(soon, |deadline| deadline.min(soon))
    }

    fn cut_if_due(&self) -> bool {
        let due = self.deadline().is_some_and(|deadline| deadline <= Instant::now());
        if let Some(socket) = self.socket.as_ref().filter(|_| due) {
            // what has not been taken by now never will be: the kernel shall not keep it either. A connection that is gone
            // already cannot be shut down
            let _gone = socket
                .set_linger(Some(Duration::ZERO))
                .and_then(|()| socket.shutdown(Shutdown::Both));
        }
        due
    }

    fn begin(self: Rc<Self>) -> Request {
        self.requests.set(self.requests.get().saturating_add(1));
        Request {
            connection: self,
            answer: None,
        }
    }
}

/// A request in flight: until its answer's last byte is on its way, or nobody waits for it any more.
struct Request {
    connection: Rc<Connection>,
    answer: Option<u64>,
}

impl Request {
    fn is_one_too_many(&self) -> bool {
        self.connection.requests.get() > self.connection.limits.requests
    }

    /// From now on the client is waited for.
    fn answers(&mut self) {
        let number = self.connection.answers_begun.get();
        self.connection.answers_begun.set(number.wrapping_add(1));
        self.connection
            .answers
            .borrow_mut()
            .insert(number, Instant::now());
        self.answer = Some(number);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let connection = &self.connection;
        if let Some(number) = self.answer {
            connection.answers.borrow_mut().remove(&number);
        }
        let left = connection.requests.get().saturating_sub(1);
        connection.requests.set(left);
        if left == 0 {
            connection.idle_since.set(Instant::now());
        }
    }
}

/// The middleware: counts the request among those of its connection until its answer has been sent.
pub(super) async fn count<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let connection = request.request().conn_data::<Rc<Connection>>().cloned();
    let Some(connection) = connection else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let unwatched = connection.socket.is_none();
    let mut counted = connection.begin();
    let mut response = if counted.is_one_too_many() {
        let problem = Problem::new(Code::Overloaded)
            .detail("too many requests at once on one connection")
            .retry_after(1);
        request.into_response(problem.error_response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    if unwatched {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    let is_http_2 = response.request().version() == Version::HTTP_2;
    let look = counted.connection.limits.look;
    if !is_event_stream(&response) {
        counted.answers();
    } else if is_http_2 {
        response = response.map_body(|_, body| BoxBody::new(Commented::new(body, look)));
    }
    Ok(response.map_body(|_, body| {
        BoxBody::new(Answer {
            body,
            _counted: counted,
        })
    }))
}

fn is_event_stream(response: &ServiceResponse<BoxBody>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// An answer's body, and the request that it counts for.
struct Answer {
    body: BoxBody,
    _counted: Request,
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

#[cfg(test)]
mod tests;
