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
mod shared;
mod upload;

pub use error::ProxyError;
pub(crate) use head::REQUEST_ID;
pub use shared::ProxyConfig;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue};
use actix_web::http::uri::{Authority, PathAndQuery};
use actix_web::{HttpRequest, HttpResponse};
use awc::{Client, ClientRequest};
use serde::de::DeserializeOwned;

use crate::domain::routing::{BodyClass, Route, Upstream};
use attempts::Answered;
use connector::UpstreamConnector;
use download::{Download, Patience};
use upload::Body;

/// By it a service recognises a request that comes again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest answer of a service about itself, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Longest page of a list that the gateway reads itself, in bytes.
const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One worker's way to the services: an HTTP client with its connections, which no other worker shares.
pub struct Proxy {
    client: Client,
    config: Arc<ProxyConfig>,
}

impl Proxy {
    /// A client without connections. Must be made on the worker that uses it.
    #[must_use]
    pub fn new(config: Arc<ProxyConfig>) -> Self {
        let settings = &config.settings;
        let connector = awc::Connector::new()
            .connector(UpstreamConnector::new())
            .timeout(settings.connect_timeout())
            .limit(settings.connections_per_worker.get())
            .conn_keep_alive(settings.idle_connection())
            .conn_lifetime(settings.connection_lifetime());
        let client = Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .no_default_headers()
            .finish();
        Self { client, config }
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
        let repeatable = may_repeat(request);
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
        let outgoing = |authority: &Authority| self.outgoing(request, authority, target.clone(), request_id);
        let answered = self
            .exchange(request, route.upstream, outgoing, body.as_ref(), repeatable)
            .await?;
        Ok(self.incoming(request, answered))
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
        let outgoing = |authority: &Authority| self.outgoing(request, authority, target.clone(), request_id);
        let answered = self.exchange(request, upstream, outgoing, None, true).await?;
        Ok(self.incoming(request, answered))
    }

    /// Reads a document of a service in the name of a client, and nothing else of the client's: no condition, no
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
        let outgoing = |authority: &Authority| {
            let uri = head::uri(authority, target.clone()).ok_or(ProxyError::NoPath)?;
            let mut outgoing = self.client.get(uri).no_decompress();
            if let Some(token) = request.headers().get(AUTHORIZATION) {
                outgoing.headers_mut().insert(AUTHORIZATION, token.clone());
            }
            head::state_request(request, request_id, outgoing.headers_mut());
            Ok(outgoing)
        };
        let failed = |cause: String| ProxyError::Upstream {
            upstream,
            cause,
            sent: true,
        };
        let reading = async {
            let answered = self.exchange(request, upstream, outgoing, None, true).await?;
            let mut response = answered.response;
            if !response.status().is_success() {
                return Err(failed(format!("answered {}", response.status())));
            }
            let body = response.body().limit(DOCUMENT_BYTES_MAX).await;
            let body = body.map_err(|error| failed(error.to_string()))?;
            serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
        };
        tokio::time::timeout(self.config.settings.response_timeout(), reading)
            .await
            .unwrap_or(Err(ProxyError::UpstreamTimeout {
                upstream,
                cause: "response",
                sent: true,
            }))
    }

    /// Asks a service about its health. `None` when it does not answer in time or makes no sense.
    pub async fn ask<T: DeserializeOwned>(&self, upstream: Upstream, path: &'static str) -> Option<T> {
        let authority = self.config.service(upstream).ok()?.any()?;
        let uri = head::uri(authority, PathAndQuery::from_static(path))?;
        let asking = async {
            let mut response = self.client.get(uri).no_decompress().send().await.ok()?;
            let body = response.body().limit(ANSWER_BYTES_MAX).await.ok()?;
            serde_json::from_slice(&body).ok()
        };
        tokio::time::timeout(self.config.settings.health_timeout(), asking)
            .await
            .ok()
            .flatten()
    }

    fn outgoing(
        &self,
        request: &HttpRequest,
        authority: &Authority,
        target: PathAndQuery,
        request_id: &HeaderValue,
    ) -> Result<ClientRequest, ProxyError> {
        let uri = head::uri(authority, target).ok_or(ProxyError::NoPath)?;
        let mut outgoing = self.client.request(request.method().clone(), uri).no_decompress();
        head::copy_request(request, outgoing.headers_mut());
        head::state_request(request, request_id, outgoing.headers_mut());
        Ok(outgoing)
    }

    fn incoming(&self, request: &HttpRequest, answered: Answered) -> HttpResponse {
        let Answered {
            response,
            timer,
            deadline,
        } = answered;
        let patience = Patience {
            deadline,
            idle: self.config.settings.body_idle_timeout(),
            stream_idle: self.config.settings.stream_idle_timeout(),
        };
        let mut builder = HttpResponse::build(response.status());
        head::copy_response(&response, &mut builder);
        builder.body(Download::new(
            response,
            request.method(),
            timer,
            &patience,
            &self.config.draining,
        ))
    }

    fn limit_bytes(&self, class: BodyClass) -> u64 {
        match class {
            BodyClass::Standard => self.config.body_limit_bytes,
            BodyClass::Credentials => self.config.settings.auth_body_limit_bytes,
        }
    }
}

/// Whether a request may reach a service twice: it changes nothing, or the service recognises it.
fn may_repeat(request: &HttpRequest) -> bool {
    request.method().is_safe() || request.headers().contains_key(IDEMPOTENCY_KEY)
}

fn declared_bytes(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
