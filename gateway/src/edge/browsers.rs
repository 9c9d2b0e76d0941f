//! What browsers are told: whose pages may call, and how little an answer may be used for.

use actix_cors::Cors;
use actix_web::ResponseError;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Condition;
use chassis::problem::{self, Code, Problem};

use super::Passage;
use crate::config::EdgeSettings;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a page may send, besides what it always may.
const REQUEST_HEADERS: [&str; 8] = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "traceparent",
    "x-request-id",
];
/// What it may read, besides what it always may.
const RESPONSE_HEADERS: [&str; 8] = [
    "etag",
    "idempotent-replayed",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-request-id",
];

/// Lets the pages of the configured origins call. Tokens travel in a header that pages set themselves, so no credentials
/// of the browser's are ever allowed.
pub(crate) fn cors(settings: &EdgeSettings) -> Condition<Cors> {
    let age = usize::try_from(settings.cors_max_age_s).unwrap_or(usize::MAX);
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers(REQUEST_HEADERS)
        .expose_headers(RESPONSE_HEADERS)
        .max_age(age);
    let cors = settings
        .cors_origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin.as_str()));
    Condition::new(!settings.cors_origins.is_empty(), cors)
}

/// A preflight request that was refused, as a problem like any other.
pub(super) fn explain(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let request = response.request();
    let is_refused_preflight = response.status() == StatusCode::BAD_REQUEST
        && request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        && response
            .headers()
            .get(CONTENT_TYPE)
            .is_none_or(|kind| kind != problem::CONTENT_TYPE);
    if !is_refused_preflight {
        return response;
    }
    let problem = Problem::new(Code::BadRequest).detail("pages of this origin may not send this");
    let mut told = problem.error_response();
    if let Some(vary) = response.headers().get(VARY) {
        told.headers_mut().insert(VARY, vary.clone());
    }
    response.into_response(told)
}

/// Adds what is missing: an answer is data, not a page, unless it says otherwise itself.
pub(super) fn warn(response: &mut ServiceResponse<BoxBody>, settings: &EdgeSettings) {
    let is_secure = Passage::of(response.request()).is_some_and(|passage| passage.scheme == "https");
    let is_private = response.request().headers().contains_key("authorization");
    let headers = response.headers_mut();
    add(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(headers, X_FRAME_OPTIONS, "DENY");
    add(headers, REFERRER_POLICY, "no-referrer");
    add(headers, RESOURCE_POLICY, "same-origin");
    add(
        headers,
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    if is_private {
        add(headers, CACHE_CONTROL, "no-store");
    }
    if is_secure && settings.hsts_max_age_s > 0 {
        let value = format!("max-age={}; includeSubDomains", settings.hsts_max_age_s);
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(STRICT_TRANSPORT_SECURITY, value);
        }
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
