//! The exchange with a service: a request in, a response out, both streamed.

mod connector;
mod download;
mod error;
mod exchange;
mod head;
mod upload;

pub use error::ProxyError;
pub(crate) use head::REQUEST_ID;

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use actix_web::http::uri::{Authority, PathAndQuery};
use actix_web::{HttpRequest, HttpResponse};
use awc::{Client, ClientRequest, ClientResponse};
use serde::de::DeserializeOwned;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::config::{ProxySettings, UpstreamSettings};
use crate::domain::routing::{BodyClass, Route, Upstream};
use connector::UpstreamConnector;
use download::Download;
use exchange::Exchange;
use upload::Upload;

/// Longest answer of a service about itself, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Longest page of a list that the gateway reads itself, in bytes.
const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What all workers share.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Where the services answer.
    pub upstreams: UpstreamSettings,
    /// Timeouts and limits.
    pub settings: ProxySettings,
    /// Largest body of an ordinary request, in bytes.
    pub body_limit_bytes: u64,
    /// Cancelled when the process begins to stop: event streams end on it.
    pub draining: CancellationToken,
}

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
        let outgoing = self.outgoing(request, route.upstream, target, request_id)?;
        let exchange = Exchange::begin(route.upstream, &self.config.settings);
        let (response, deadline) = if matches!(payload, Payload::None) {
            exchange.response(outgoing.send(), None).await?
        } else {
            let (upload, progress) =
                Upload::new(payload, declared_bytes(request), self.limit_bytes(route.body))?;
            exchange
                .response(outgoing.send_body(upload), Some(progress))
                .await?
        };
        Ok(self.incoming(request, response, deadline))
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
        let outgoing = self.outgoing(request, upstream, PathAndQuery::from_static(path), request_id)?;
        let exchange = Exchange::begin(upstream, &self.config.settings);
        let (response, deadline) = exchange.response(outgoing.send(), None).await?;
        Ok(self.incoming(request, response, deadline))
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
        let uri = head::uri(self.authority(upstream), target).ok_or(ProxyError::NoPath)?;
        let mut outgoing = self.client.get(uri).no_decompress();
        if let Some(token) = request.headers().get(AUTHORIZATION) {
            outgoing.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        head::state_request(request, request_id, outgoing.headers_mut());
        let failed = |cause: String| ProxyError::Upstream { upstream, cause };
        let reading = async {
            let sent = outgoing.send().await;
            let mut response = sent.map_err(|error| ProxyError::from_send(error, upstream))?;
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
            }))
    }

    /// Asks a service about its health. `None` when it does not answer in time or makes no sense.
    pub async fn ask<T: DeserializeOwned>(&self, upstream: Upstream, path: &'static str) -> Option<T> {
        let uri = head::uri(self.authority(upstream), PathAndQuery::from_static(path))?;
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
        upstream: Upstream,
        target: PathAndQuery,
        request_id: &HeaderValue,
    ) -> Result<ClientRequest, ProxyError> {
        let uri = head::uri(self.authority(upstream), target).ok_or(ProxyError::NoPath)?;
        let mut outgoing = self.client.request(request.method().clone(), uri).no_decompress();
        head::copy_request(request, outgoing.headers_mut());
        head::state_request(request, request_id, outgoing.headers_mut());
        Ok(outgoing)
    }

    fn incoming(
        &self,
        request: &HttpRequest,
        response: ClientResponse,
        deadline: Pin<Box<Sleep>>,
    ) -> HttpResponse {
        let mut builder = HttpResponse::build(response.status());
        head::copy_response(&response, &mut builder);
        builder.body(Download::new(
            response,
            request.method(),
            deadline,
            &self.config.draining,
        ))
    }

    fn authority(&self, upstream: Upstream) -> &Authority {
        self.config.upstreams.of(upstream).authority()
    }

    fn limit_bytes(&self, class: BodyClass) -> u64 {
        match class {
            BodyClass::Standard => self.config.body_limit_bytes,
            BodyClass::Credentials => self.config.settings.auth_body_limit_bytes,
        }
    }
}

fn declared_bytes(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
