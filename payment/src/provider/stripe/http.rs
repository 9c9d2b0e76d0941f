//! One request to Stripe and its answer, bounded in time, size and number.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use chassis::clock;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::StripeSettings;

/// Longest answer, in bytes: a page of a hundred refunds is a tenth of it.
const ANSWER_MAX: usize = 1 << 20;
/// What a limit without a time to wait means, and the longest that is obeyed.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// Stripe's own id of the request, which its support asks for.
    pub(super) request_id: String,
    /// How long to wait when it says that there was too much.
    pub(super) pause: Duration,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum NoReply {
    /// Nothing was sent.
    #[error("cannot connect to stripe")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing was sent: Stripe had asked for a pause, or all connections were busy.
    #[error("{0}")]
    NotNow(String),
    /// It may have been sent, and done.
    #[error("{0}, the result is unknown")]
    Lost(String),
}

/// The connections to Stripe.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: HeaderValue,
    version: HeaderValue,
    timeout: Duration,
    free: Semaphore,
    paused_until: Mutex<Option<Instant>>,
}

impl Http {
    /// # Errors
    /// When this machine has no certificates to tell Stripe by, or a setting is no header.
    pub(super) fn new(settings: &StripeSettings) -> anyhow::Result<Self> {
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", settings.secret_key.expose_secret()))?;
        authorization.set_sensitive(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(settings.idle_timeout_ms))
            .pool_max_idle_per_host(settings.idle_connections_max)
            .build(connector(settings)?);
        Ok(Self {
            client,
            base: settings.base_url.trim_end_matches('/').to_owned(),
            authorization,
            version: HeaderValue::from_str(&settings.api_version)?,
            timeout: settings.timeout(),
            free: Semaphore::new(settings.connections_max),
            paused_until: Mutex::new(None),
        })
    }

    /// `GET`
    pub(super) async fn get(&self, path: &str) -> Result<Reply, NoReply> {
        let request = self.request(Method::GET, path).body(Full::default());
        self.ask(request).await
    }

    /// `POST` of a form, under an idempotency key.
    pub(super) async fn post(&self, path: &str, key: &str, form: String) -> Result<Reply, NoReply> {
        let request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("idempotency-key", key)
            .body(Full::from(form));
        self.ask(request).await
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, &self.authorization)
            .header("stripe-version", &self.version)
            .header(
                USER_AGENT,
                concat!("quadrille-payment/", env!("CARGO_PKG_VERSION")),
            )
    }

    async fn ask(&self, request: hyper::http::Result<Request<Full<Bytes>>>) -> Result<Reply, NoReply> {
        let request = request.map_err(|error| NoReply::Unreachable(error.into()))?;
        if let Some(left) = self.pause_left() {
            let detail = format!("stripe asked for a pause, {} ms of it are left", left.as_millis());
            return Err(NoReply::NotNow(detail));
        }
        let asked = Instant::now();
        let Ok(Ok(_permit)) = timeout(self.timeout, self.free.acquire()).await else {
            return Err(NoReply::NotNow("all connections to stripe are busy".to_owned()));
        };
        let left = self.timeout.saturating_sub(asked.elapsed());
        timeout(left, self.exchange(request))
            .await
            .unwrap_or_else(|_elapsed| {
                let detail = format!("stripe did not answer within {} ms", self.timeout.as_millis());
                Err(NoReply::Lost(detail))
            })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, NoReply> {
        let answered = self.client.request(request).await;
        let response = answered.map_err(|error| {
            if error.is_connect() {
                return NoReply::Unreachable(error.into());
            }
            NoReply::Lost(format!("the connection to stripe broke: {}", chain(&error)))
        })?;
        read(response).await
    }

    fn pause_left(&self) -> Option<Duration> {
        let until = *self.paused_until.lock().ok()?;
        until?
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// Asks for nothing for so long.
    pub(super) fn pause(&self, pause: Duration) {
        if let (Ok(mut until), Some(end)) = (self.paused_until.lock(), Instant::now().checked_add(pause)) {
            *until = Some(until.map_or(end, |before| before.max(end)));
        }
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Reply, NoReply> {
    let status = response.status();
    let text = |name: &str| text(response.headers(), name);
    let request_id = text("request-id");
    let pause = pause(&text(RETRY_AFTER.as_str()));
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
    let body = body.map_err(|error| NoReply::Lost(format!("stripe's answer broke off: {error}")))?;
    Ok(Reply {
        status,
        body: body.to_bytes(),
        request_id,
        pause,
    })
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// `Retry-After` is a number of seconds or a date.
fn pause(retry_after: &str) -> Duration {
    let seconds = retry_after.parse::<u64>().ok().map(Duration::from_secs);
    let date = || {
        let date = chrono::DateTime::parse_from_rfc2822(retry_after).ok()?;
        (date.to_utc() - clock::now()).to_std().ok()
    };
    seconds.or_else(date).unwrap_or(PAUSE).min(PAUSE_MAX)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The machine's certificates are loaded where they are needed only.
fn connector(settings: &StripeSettings) -> anyhow::Result<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_millis(settings.connect_timeout_ms)));
    let ring = rustls::crypto::ring::default_provider();
    if settings.base_url.starts_with("https:") {
        let with_roots = HttpsConnectorBuilder::new().with_provider_and_native_roots(ring);
        let with_roots = with_roots.map_err(|error| {
            anyhow::Error::new(error)
                .context("provider.stripe.base_url is https, and this machine has no CA certificates")
        })?;
        return Ok(with_roots.https_only().enable_http1().wrap_connector(http));
    }
    let nobody = ClientConfig::builder_with_provider(ring.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let plain = HttpsConnectorBuilder::new().with_tls_config(nobody);
    Ok(plain.https_or_http().enable_http1().wrap_connector(http))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_as_long_as_stripe_says_but_not_for_ever() {
        assert_eq!(pause("7"), Duration::from_secs(7));
        assert_eq!(pause("100000"), PAUSE_MAX);
        assert_eq!((pause(""), pause("soon")), (PAUSE, PAUSE));
        assert_eq!(pause("Fri, 01 Jan 2100 00:00:00 GMT"), PAUSE_MAX);
    }
}
