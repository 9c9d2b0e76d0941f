//! A connection's stream, looked at on its way. What the pool must know of a connection is said there and nowhere above:
//! which code an error has, whether an answer is still to come, whether a transaction is open, who the server says it is.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use super::frames::{Frames, Piece};
use super::sqlstate::{Spoils, annotate};

const ERROR: u8 = b'E';
const READY: u8 = b'Z';
const KEY: u8 = b'K';
const PARAMETER: u8 = b'S';
/// What a client's request ends with: a query of its own, or the end of a round of the extended protocol.
const ENDS_OF_REQUESTS: [u8; 3] = [b'Q', b'S', b'F'];
/// A server that becomes a standby, or is told to take no writes, says so by itself.
const READ_ONLY: [&[u8]; 2] = [b"in_hot_standby\0on\0", b"default_transaction_read_only\0on\0"];

/// Which connections of a pool are too old.
#[derive(Debug, Default)]
pub(super) struct Generation(AtomicU64);

impl Generation {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Ends `generation` unless it has ended already.
    fn end(&self, generation: u64) {
        let next = generation.wrapping_add(1);
        let _ = self
            .0
            .compare_exchange(generation, next, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    /// Requests, the start of the session among them, that the server has not done with.
    unanswered: AtomicUsize,
    in_transaction: AtomicBool,
    spoiled: AtomicBool,
    closed: AtomicBool,
    /// The server's process, as it said at the start.
    backend: AtomicI32,
    answered: Notify,
    reader: AtomicWaker,
    generations: Arc<Generation>,
    generation: u64,
}

impl Wire {
    pub(super) fn new(generations: &Arc<Generation>) -> Self {
        Self {
            unanswered: AtomicUsize::new(1),
            in_transaction: AtomicBool::new(false),
            spoiled: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            backend: AtomicI32::new(0),
            answered: Notify::new(),
            reader: AtomicWaker::new(),
            generation: generations.now(),
            generations: generations.clone(),
        }
    }

    /// One of several hosts is tried.
    fn begin(&self) {
        self.unanswered.store(1, Ordering::Release);
        self.in_transaction.store(false, Ordering::Release);
        self.spoiled.store(false, Ordering::Release);
    }

    /// Whether the connection is of no use any more.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Acquire)
            || self.closed.load(Ordering::Acquire)
            || self.generation != self.generations.now()
    }

    /// Whether a transaction was open when the server last answered.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }

    /// The process that serves the session, as the server said at its start.
    pub(super) fn backend(&self) -> i32 {
        self.backend.load(Ordering::Acquire)
    }

    /// Waits until the server has done with all that it was asked.
    pub(super) async fn idle(&self) {
        loop {
            let answered = self.answered.notified();
            if self.unanswered.load(Ordering::Acquire) == 0 {
                return;
            }
            answered.await;
        }
    }

    /// Ends the connection, whatever it is at.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.reader.wake();
    }

    fn asked(&self) {
        self.unanswered.fetch_add(1, Ordering::AcqRel);
    }

    fn spoil(&self, what: Spoils) {
        if what != Spoils::Nothing {
            self.spoiled.store(true, Ordering::Release);
        }
        if what == Spoils::Generation {
            self.generations.end(self.generation);
        }
    }

    /// Takes in a message of the server, and returns it as it goes on.
    fn heard(&self, tag: u8, message: Vec<u8>) -> Vec<u8> {
        let body = message.get(5..).unwrap_or_default();
        match tag {
            READY => {
                let open = body.first().is_some_and(|status| *status != b'I');
                self.in_transaction.store(open, Ordering::Release);
                let before = self.unanswered.load(Ordering::Acquire);
                self.unanswered.store(before.saturating_sub(1), Ordering::Release);
                self.answered.notify_waiters();
            }
            KEY => {
                let process = body.first_chunk().copied().map(i32::from_be_bytes);
                self.backend.store(process.unwrap_or_default(), Ordering::Release);
            }
            PARAMETER if READ_ONLY.contains(&body) => self.spoil(Spoils::Generation),
            ERROR => {
                if let Some((annotated, spoils)) = annotate(&message) {
                    self.spoil(spoils);
                    return annotated;
                }
            }
            _ => {}
        }
        message
    }
}

/// A socket, looked at.
pub(super) struct Tapped<S> {
    socket: S,
    wire: Arc<Wire>,
    sent: Frames,
    received: Frames,
    scratch: Box<[u8]>,
    /// What has been looked at, and how much of it has gone on.
    ready: Vec<u8>,
    gone: usize,
}

impl<S> Tapped<S> {
    fn new(socket: S, wire: Arc<Wire>) -> Self {
        wire.begin();
        Self {
            socket,
            wire,
            sent: Frames::of_client(),
            received: Frames::of_server(),
            scratch: vec![0; 16 * 1024].into_boxed_slice(),
            ready: Vec::new(),
            gone: 0,
        }
    }

    /// Hands on what is ready; whether there was anything.
    fn hand_on(&mut self, to: &mut ReadBuf<'_>) -> bool {
        let waiting = self.ready.get(self.gone..).unwrap_or_default();
        let part = waiting.get(..to.remaining()).unwrap_or(waiting);
        to.put_slice(part);
        let handed = !part.is_empty();
        self.gone = self.gone.saturating_add(part.len());
        if self.gone >= self.ready.len() {
            self.ready.clear();
            self.gone = 0;
        }
        handed
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.hand_on(to) {
                return Poll::Ready(Ok(()));
            }
            this.wire.reader.register(cx.waker());
            if this.wire.closed.load(Ordering::Acquire) {
                return Poll::Ready(Ok(()));
            }
            let mut chunk = ReadBuf::new(&mut this.scratch);
            std::task::ready!(Pin::new(&mut this.socket).poll_read(cx, &mut chunk))?;
            let mut chunk = chunk.filled();
            if chunk.is_empty() {
                this.ready = this.received.forget();
                this.hand_on(to);
                return Poll::Ready(Ok(()));
            }
            let wanted = |tag| matches!(tag, ERROR | READY | KEY | PARAMETER);
            while let Some(piece) = this.received.next(&mut chunk, wanted) {
                match piece {
                    Piece::Head(_, head) => this.ready.extend_from_slice(&head),
                    Piece::Body(body) => this.ready.extend_from_slice(body),
                    Piece::Whole(tag, message) => {
                        this.ready.extend_from_slice(&this.wire.heard(tag, message));
                    }
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = std::task::ready!(Pin::new(&mut this.socket).poll_write(cx, from))?;
        let mut chunk = from.get(..written).unwrap_or_default();
        while let Some(piece) = this.sent.next(&mut chunk, |_tag| false) {
            if let Piece::Head(tag, _) = piece
                && ENDS_OF_REQUESTS.contains(&tag)
            {
                this.wire.asked();
            }
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Tapped<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// Puts itself where TLS would be, which is the one place between tokio-postgres and its socket. Nothing is encrypted.
#[derive(Clone)]
pub(super) struct Tap(pub(super) Arc<Wire>);

impl MakeTlsConnect<Socket> for Tap {
    type Stream = Tapped<Socket>;
    type TlsConnect = Self;
    type Error = Infallible;

    fn make_tls_connect(&mut self, _host: &str) -> Result<Self, Infallible> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Tap {
    type Stream = Tapped<Socket>;
    type Error = Infallible;
    type Future = Ready<Result<Tapped<Socket>, Infallible>>;

    fn connect(self, socket: Socket) -> Self::Future {
        ready(Ok(Tapped::new(socket, self.0)))
    }
}
