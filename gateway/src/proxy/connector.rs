//! TCP connections to the services.
//!
//! Two things differ from the HTTP client's own connections. Nagle's algorithm is off: the second write of a
//! body would wait for the service's delayed acknowledgement of the first. And the end of the stream is an
//! error: the client takes a chunked response that breaks off for one that is complete. What ends only with its
//! connection cannot be told from what broke off; services do not answer so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Connector, ConnectorService};
use actix_web::dev::Service;
use actix_web::http::Uri;
use actix_web::rt::net::{ActixStream, Ready, TcpStream};
use futures::future::{LocalBoxFuture, TryFutureExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Resolves names and connects.
#[derive(Clone)]
pub(super) struct UpstreamConnector {
    tcp: ConnectorService,
}

impl UpstreamConnector {
    pub(super) fn new() -> Self {
        Self {
            tcp: Connector::default().service(),
        }
    }
}

impl Service<ConnectInfo<Uri>> for UpstreamConnector {
    type Response = Connection<Uri, UpstreamStream>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<ConnectInfo<Uri>>::poll_ready(&self.tcp, context)
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        Box::pin(self.tcp.call(info).and_then(async |connection| {
            let (stream, uri) = connection.into_parts();
            stream.set_nodelay(true).map_err(ConnectError::Io)?;
            Ok(Connection::new(uri, UpstreamStream(stream)))
        }))
    }
}

/// A connection whose end is an error.
#[derive(Debug)]
pub(super) struct UpstreamStream(TcpStream);

impl AsyncRead for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let wanted = buffer.remaining();
        let outcome = std::task::ready!(Pin::new(&mut self.0).poll_read(context, buffer));
        if outcome.is_ok() && wanted > 0 && buffer.filled().len() == filled {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

impl ActixStream for UpstreamStream {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.0, context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.0, context)
    }
}
