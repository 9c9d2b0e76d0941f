//! Translation of message heads between the two sides.

use actix_web::http::Uri;
use actix_web::http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::{Authority, Parts, PathAndQuery, Scheme};
use actix_web::{HttpRequest, HttpResponseBuilder};
use awc::ClientResponse;
use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::ProxyError;
use crate::domain::headers::{ConnectionOptions, passes_to_client, passes_to_service};
use crate::edge::Passage;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The header that a request is known by.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A path and query, byte by byte as they came, at a service.
pub(super) fn uri(authority: &Authority, target: PathAndQuery) -> Option<Uri> {
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).ok()
}

/// What is said to a service in the name of a client: what the client may say, and what the gateway says itself.
///
/// # Errors
/// [`ProxyError::Ambiguous`] when it cannot be told what the client wants passed on.
pub(super) fn request(request: &HttpRequest, request_id: &HeaderValue) -> Result<HeaderMap, ProxyError> {
    let options = connection_options(request.headers()).map_err(ProxyError::Ambiguous)?;
    let mut outgoing = HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        if passes_to_service(name.as_str(), &options) {
            outgoing.append(name.clone(), value.clone());
        }
    }
    state(request, request_id, &mut outgoing);
    Ok(outgoing)
}

/// What is said to a service when the gateway itself wants to know something, with the rights of a client.
pub(super) fn own_request(request: &HttpRequest, request_id: &HeaderValue) -> HeaderMap {
    let mut outgoing = HeaderMap::new();
    if let Some(token) = request.headers().get(AUTHORIZATION) {
        outgoing.insert(AUTHORIZATION, token.clone());
    }
    state(request, request_id, &mut outgoing);
    outgoing
}

/// Adds what the gateway says itself. Who the user is stands in the token alone, which the service checks again.
fn state(request: &HttpRequest, request_id: &HeaderValue, outgoing: &mut HeaderMap) {
    outgoing.insert(REQUEST_ID, request_id.clone());
    if let Some(host) = host(request) {
        outgoing.insert(FORWARDED_HOST, host);
    }
    if let Some(passage) = Passage::of(request) {
        outgoing.insert(FORWARDED_PROTO, HeaderValue::from_static(passage.scheme));
        if let Ok(address) = HeaderValue::try_from(passage.address.to_string()) {
            outgoing.insert(FORWARDED_FOR, address);
        }
    }
    state_trace(outgoing);
}

/// Whom the client meant to call; HTTP/2 says it in the request's target.
fn host(request: &HttpRequest) -> Option<HeaderValue> {
    let header = request.headers().get(HOST).cloned();
    header.or_else(|| HeaderValue::try_from(request.uri().authority()?.as_str()).ok())
}

/// The current span is the parent of what the service does (W3C Trace Context, version 00).
fn state_trace(outgoing: &mut HeaderMap) {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return;
    }
    let traceparent = format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags().to_u8()
    );
    if let Ok(traceparent) = HeaderValue::try_from(traceparent) {
        outgoing.insert(TRACEPARENT, traceparent);
    }
    let state = span.trace_state().header();
    if let Some(state) = (!state.is_empty())
        .then(|| HeaderValue::try_from(state).ok())
        .flatten()
    {
        outgoing.insert(TRACESTATE, state);
    }
}

/// Copies what a service may say to a client.
///
/// # Errors
/// Why it cannot be told what that is.
pub(super) fn copy_response(
    response: &ClientResponse,
    builder: &mut HttpResponseBuilder,
) -> Result<(), &'static str> {
    let options = connection_options(response.headers())?;
    for (name, value) in response.headers() {
        if passes_to_client(name.as_str(), &options) {
            builder.append_header((name.clone(), value.clone()));
        }
    }
    Ok(())
}

fn connection_options(headers: &HeaderMap) -> Result<ConnectionOptions<'_>, &'static str> {
    ConnectionOptions::parse(headers.get_all(CONNECTION).map(HeaderValue::as_bytes))
}
