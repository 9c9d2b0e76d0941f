//! The exchange with a service: a request in, a response out, both streamed.

mod attempts;
mod breaker;
mod budget;
mod connector;
mod download;
pub(crate) mod endpoints;
mod error;
mod exchange;
mod head;
mod outlier;
mod places;
mod shared;
mod upload;

pub use error::ProxyError;
pub(crate) use head::REQUEST_ID;
pub use shared::ProxyConfig;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::{Authority, PathAndQuery};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use awc::{Client, ClientRequest};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::domain::route_class::PerClass;
use crate::domain::routing::{BodyClass, Route, RouteClass, Upstream};
use attempts::Answered;
use connector::UpstreamConnector;
use download::{Download, Patience};
use places::Places;
use upload::Body;

/// By it a service recognises a request that comes again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest page of a list that the gateway reads itself, in bytes.
const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One worker's way to the services: an HTTP client with its connections, which no other worker shares.
pub struct Proxy {
    client: Client,
    config: Arc<ProxyConfig>,
    places: [(Upstream, PerClass<Places>); Upstream::ALL.len()],
}

impl Proxy {
    /// A client without connections. Must be made on the worker that uses it.
    #[must_use]
    pub fn new(config: Arc<ProxyConfig>) -> Self {
        let settings = &config.settings;
        // whoever has a place finds a connection: nobody waits for one within the time that a service has for its answer
        let exchanges = settings.exchanges_per_worker.saturating_mul(RouteClass::COUNT);
        let connections = exchanges
            .saturating_add(settings.streams_per_worker.get())
            .saturating_mul(Upstream::COUNT);
        let connector = awc::Connector::new()
            .connector(UpstreamConnector::new())
            .timeout(settings.connect_timeout())
            .limit(connections.get())
            .conn_keep_alive(settings.idle_connection())
            .conn_lifetime(settings.connection_lifetime());
        let client = Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .no_default_headers()
            .finish();
        let places = Upstream::ALL.map(|upstream| {
            let streams = Arc::new(Semaphore::new(settings.streams_per_worker.get()));
            let of_class = || Places::new(upstream, settings, streams.clone());
            (upstream, PerClass::new(of_class))
        });
        Self {
            client,
            config,
            places,
        }
    }

    /// Passes a request to its service and answers with the head of the response; the body follows as it comes.
    ///
    /// # Errors
    /// [`ProxyError`] tells whose fault it is that there is no answer.
    pub async fn forward(
        &self,
        request: &HttpRequest,
        payload: Payload,
        route: Route,
        request_id: &HeaderValue,
    ) -> Result<HttpResponse, ProxyError> {
        let target = request.uri().path_and_query().ok_or(ProxyError::NoPath)?.clone();
        let head = head::request(request, request_id)?;
        let repeatable = may_repeat(request.method(), route, &head);
        let body = match payload {
            Payload::None => None,
            payload @ (Payload::H1 { .. } | Payload::H2 { .. } | Payload::Stream { .. }) => {
                let keep_max = if repeatable {
                    self.config.settings.replay_buffer_bytes
                } else {
                    0
                };
                let limit = self.limit_bytes(route.body);
                Some(Body::new(payload, declared_bytes(request), limit, keep_max)?)
            }
        };
        let outgoing = |authority: &Authority| self.outgoing(request.method(), authority, &target, &head);
        let answered = self
            .exchange(
                request,
                (route.upstream, route.class),
                outgoing,
                body.as_ref(),
                repeatable,
            )
            .await?;
        self.incoming(request, route.upstream, answered)
    }

    /// Asks a service for a document of its own, in the name of a client.
    ///
    /// # Errors
    /// [`ProxyError`] tells why there is no answer.
    pub async fn fetch(
        &self,
        request: &HttpRequest,
        upstream: Upstream,
        path: &'static str,
        request_id: &HeaderValue,
    ) -> Result<HttpResponse, ProxyError> {
        let target = PathAndQuery::from_static(path);
        let head = head::request(request, request_id)?;
        let outgoing = |authority: &Authority| self.outgoing(request.method(), authority, &target, &head);
        let asked = (upstream, RouteClass::Standard);
        let answered = self.exchange(request, asked, outgoing, None, true).await?;
        self.incoming(request, upstream, answered)
    }

    /// Reads a document of a service for operators in the name of a client, and nothing else of the client's: no condition, no
    /// encoding.
    ///
    /// # Errors
    /// [`ProxyError`] tells why there is no such document.
    pub async fn read<T: DeserializeOwned>(
        &self,
        request: &HttpRequest,
        upstream: Upstream,
        target: PathAndQuery,
        request_id: &HeaderValue,
    ) -> Result<T, ProxyError> {
        let asked = (upstream, RouteClass::Operations);
        self.find(request, asked, target, request_id)
            .await?
            .ok_or_else(|| ProxyError::Upstream {
                upstream,
                cause: "answered 404 Not Found".to_owned(),
                sent: true,
            })
    }

    /// Reads a document of a service in the name of a client, if it is there for them.
    ///
    /// # Errors
    /// [`ProxyError`] tells why that is not known.
    pub async fn find<T: DeserializeOwned>(
        &self,
        request: &HttpRequest,
        (upstream, class): (Upstream, RouteClass),
        target: PathAndQuery,
        request_id: &HeaderValue,
    ) -> Result<Option<T>, ProxyError> {
        let head = head::own_request(request, request_id);
        let outgoing = |authority: &Authority| self.outgoing(&Method::GET, authority, &target, &head);
        let failed = |cause: String| ProxyError::Upstream {
            upstream,
            cause,
            sent: true,
        };
        let reading = async {
            let answered = self
                .exchange(request, (upstream, class), outgoing, None, true)
                .await?;
            let mut response = answered.response;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            if !response.status().is_success() {
                return Err(failed(format!("answered {}", response.status())));
            }
            let body = response.body().limit(DOCUMENT_BYTES_MAX).await;
            let body = body.map_err(|error| failed(error.to_string()))?;
            serde_json::from_slice(&body)
                .map(Some)
                .map_err(|error| failed(error.to_string()))
        };
        tokio::time::timeout(self.config.settings.response_timeout(), reading)
            .await
            .unwrap_or(Err(ProxyError::UpstreamTimeout {
                upstream,
                cause: "response",
                sent: true,
            }))
    }

    fn places(&self, upstream: Upstream, class: RouteClass) -> Result<&Places, ProxyError> {
        let found = self.places.iter().find(|(service, _)| *service == upstream);
        found
            .map(|(_, places)| places.of(class))
            .ok_or(ProxyError::NoPath)
    }

    fn outgoing(
        &self,
        method: &Method,
        authority: &Authority,
        target: &PathAndQuery,
        head: &HeaderMap,
    ) -> Result<ClientRequest, ProxyError> {
        let uri = head::uri(authority, target.clone()).ok_or(ProxyError::NoPath)?;
        let mut outgoing = self.client.request(method.clone(), uri).no_decompress();
        *outgoing.headers_mut() = head.clone();
        Ok(outgoing)
    }

    fn incoming(
        &self,
        request: &HttpRequest,
        upstream: Upstream,
        answered: Answered,
    ) -> Result<HttpResponse, ProxyError> {
        let patience = Patience {
            idle: self.config.settings.body_idle_timeout(),
            stream_idle: self.config.settings.stream_idle_timeout(),
        };
        let mut builder = HttpResponse::build(answered.response.status());
        head::copy_response(&answered.response, &mut builder).map_err(|why| ProxyError::Upstream {
            upstream,
            cause: why.to_owned(),
            sent: true,
        })?;
        let body = Download::new(answered, request.method(), &patience, &self.config.draining);
        Ok(builder.body(body))
    }

    fn limit_bytes(&self, class: BodyClass) -> u64 {
        match class {
            BodyClass::Standard => self.config.body_limit_bytes,
            BodyClass::Credentials => self.config.settings.auth_body_limit_bytes,
        }
    }
}

/// Whether a request may reach a service twice: it changes nothing, or the route's service recognises it by the key that it is
/// told. What the client said does not count: its `Connection` header may have kept the key from the service.
fn may_repeat(method: &Method, route: Route, outgoing: &HeaderMap) -> bool {
    method.is_safe() || (route.honours_key && outgoing.contains_key(IDEMPOTENCY_KEY))
}

fn declared_bytes(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
