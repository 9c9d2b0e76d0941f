//! One call: a POST to an address that was checked, on a connection of its own. No redirect is followed, no proxy is
//! asked, and no more of the answer is read than is kept, and no longer than [`EXCERPT_WAIT`]: the status says it all.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock;
use chrono::{DateTime, Utc};
use futures::future::{Either, ready, select};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::warn;
use url::{Host, Url};

use super::connect::connect;
use super::{Guard, Refused};

/// Longest head of an answer, in bytes.
const ANSWER_HEAD_MAX: usize = 16_384;
/// How long the body of an answer is read for its excerpt.
const EXCERPT_WAIT: Duration = Duration::from_secs(1);
/// Names the platform to receivers.
const AGENT: &str = concat!("Quadrille-Webhooks/", env!("CARGO_PKG_VERSION"));

/// What is sent.
pub(crate) struct Message {
    /// `webhook-id`
    pub(crate) id: String,
    /// `webhook-timestamp`
    pub(crate) timestamp: i64,
    /// `webhook-signature`
    pub(crate) signature: String,
    /// JSON.
    pub(crate) body: Vec<u8>,
}

/// How a receiver answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) excerpt: String,
    /// When it wants to be asked again (`Retry-After`), from now on.
    pub(crate) retry_after: Option<Duration>,
}

/// Why there is no answer. Nothing here repeats the URL.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    #[error("the address is refused: {0}")]
    Refused(#[from] Refused),
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    #[error("no secure connection: {0}")]
    Tls(#[source] std::io::Error),
    #[error("the name is not one that a certificate could have")]
    Name(#[from] InvalidDnsNameError),
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be written")]
    Request(#[from] hyper::http::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// Calls webhooks.
pub(crate) struct Caller {
    guard: Guard,
    tls: TlsConnector,
    patience: Duration,
    read_max: usize,
    excerpt_max: usize,
}

impl Caller {
    /// A caller that trusts the machine's authorities and `authorities`, waits for an answer as long as `patience`, reads `read_max`
    /// bytes of it and keeps `excerpt_max` characters.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(
        guard: Guard,
        authorities: Vec<CertificateDer<'static>>,
        patience: Duration,
        read_max: usize,
        excerpt_max: usize,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _unreadable) =
            roots.add_parsable_certificates(found.certs.into_iter().chain(authorities));
        if added == 0 {
            warn!("this machine trusts no certificate authority, https webhooks cannot be called");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            guard,
            tls: TlsConnector::from(Arc::new(config)),
            patience,
            read_max,
            excerpt_max,
        })
    }

    /// Sends `message` to `url`.
    pub(crate) async fn call(&self, url: &str, message: Message) -> Result<Answer, CallError> {
        let answering = timeout(self.patience, self.called(url, message)).await;
        let answering = answering.map_err(|_elapsed| CallError::Timeout(self.patience))??;
        Ok(self.answer(answering).await)
    }

    async fn called(&self, url: &str, message: Message) -> Result<Answering, CallError> {
        let url = self.guard.url(url)?;
        let addresses = self.guard.resolve(&url).await?;
        let stream = connect(&addresses).await.map_err(CallError::Connect)?;
        let request = request(&url, message)?;
        if url.scheme() == "https" {
            let stream = self.tls.connect(server_name(&url)?, stream);
            exchange(stream.await.map_err(CallError::Tls)?, request).await
        } else {
            exchange(stream, request).await
        }
    }

    /// The connection is driven for as long as the body is read, and dropped with it.
    async fn answer(&self, answering: Answering) -> Answer {
        let Answering {
            response,
            connection,
            sender: _sender,
        } = answering;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, clock::now()));
        let mut begin = Vec::new();
        let read = Box::pin(self.read(response.into_body(), &mut begin));
        let reading = async {
            if let Either::Right((_ended, read)) = select(read, connection).await {
                read.await;
            }
        };
        // one that breaks off or dribbles is still an answer
        drop(timeout(EXCERPT_WAIT, reading).await);
        Answer {
            status,
            excerpt: self.excerpt(&begin),
            retry_after,
        }
    }

    async fn read(&self, mut body: Incoming, begin: &mut Vec<u8>) {
        while begin.len() < self.read_max {
            let Some(Ok(frame)) = body.frame().await else {
                return;
            };
            let room = self.read_max.saturating_sub(begin.len());
            begin.extend(frame.data_ref().into_iter().flatten().take(room));
        }
    }

    /// As text without anything that moves a cursor.
    fn excerpt(&self, begin: &[u8]) -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        String::from_utf8_lossy(begin)
            .chars()
            .take(self.excerpt_max)
            .map(plain)
            .collect()
    }
}

/// Seconds, or a time (RFC 9110, section 10.2.3).
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    // a time that has passed is as soon as possible
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

/// A connection on its way.
type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// An answer whose body is still to come.
struct Answering {
    response: Response<Incoming>,
    connection: Connection,
    /// The connection ends with it.
    sender: SendRequest<Full<Bytes>>,
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answering, CallError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let connection: Connection = Box::pin(connection);
    let answer = Box::pin(sender.send_request(request));
    let (response, connection) = match select(answer, connection).await {
        Either::Left((response, connection)) => (response?, connection),
        Either::Right((ended, response)) => {
            let ended: Connection = Box::pin(ready(ended));
            (response.await?, ended)
        }
    };
    Ok(Answering {
        response,
        connection,
        sender,
    })
}

fn server_name(url: &Url) -> Result<ServerName<'static>, CallError> {
    match url.host() {
        Some(Host::Ipv4(ip)) => Ok(ServerName::IpAddress(ip.into())),
        Some(Host::Ipv6(ip)) => Ok(ServerName::IpAddress(ip.into())),
        Some(Host::Domain(name)) => Ok(ServerName::try_from(name.to_owned())?),
        None => Err(Refused::NoUrl.into()),
    }
}

fn request(url: &Url, message: Message) -> Result<Request<Full<Bytes>>, CallError> {
    let host = url.host_str().ok_or(Refused::NoUrl)?;
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request = Request::post(target)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, AGENT)
        .header("webhook-id", message.id)
        .header("webhook-timestamp", message.timestamp)
        .header("webhook-signature", message.signature)
        .body(Full::new(Bytes::from(message.body)))?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_again_is_told_in_seconds_or_as_a_time() {
        let now = DateTime::parse_from_rfc3339("2026-11-30T12:00:00Z")
            .unwrap()
            .to_utc();
        let of = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(of("120"), Some(120));
        assert_eq!(of(" 0 "), Some(0));
        assert_eq!(of("Mon, 30 Nov 2026 12:05:00 GMT"), Some(300));
        assert_eq!(of("Mon, 30 Nov 2026 11:00:00 GMT"), Some(0));
        for nonsense in ["", "soon", "-1", "1.5", "Mon, 30 Nov"] {
            assert_eq!(of(nonsense), None, "{nonsense:?}");
        }
    }
}
