//! Where a request comes from, and whether it can be understood in one way only.

use std::cell::Cell;
use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HOST, HeaderName, HeaderValue, UPGRADE};
use actix_web::http::uri::Authority;
use chassis::problem::{Code, Problem};

use super::Passage;
use crate::config::EdgeSettings;
use crate::domain::client_address::{Networks, client};
use crate::domain::{headers, request_id};
use crate::proxy::REQUEST_ID;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What there is to know about a request before anything is done about it.
pub(super) fn passage(request: &ServiceRequest, settings: &EdgeSettings) -> Passage {
    let peer = request
        .peer_addr()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
    Passage {
        request_id: named(request),
        address: address(request, peer, &settings.trusted_proxies),
        scheme: scheme(request, peer, &settings.trusted_proxies),
        standing: Cell::new(None),
        upstream: Cell::new(None),
        attempts: Cell::new(0),
    }
}

/// Refuses what is too long, and what two programs could read differently.
pub(super) fn check(request: &ServiceRequest, settings: &EdgeSettings) -> Result<(), Problem> {
    let refused = |why: &'static str| Err(Problem::new(Code::BadRequest).detail(why));
    if request.headers().len() > settings.headers_max
        || headers::list_bytes(lengths(request)) > settings.header_list_bytes_max
    {
        return Err(Problem::new(Code::HeadersTooLarge));
    }
    let names = request.headers().iter().map(|(name, _)| name.as_str());
    if let Some(why) = headers::refusal(names) {
        return refused(why);
    }
    // the parser takes all that follows such a request for its body
    if request
        .headers()
        .get(UPGRADE)
        .is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
    {
        return refused("web sockets are not spoken here");
    }
    match request.headers().get(HOST) {
        Some(host) if !is_host(host) => refused("the Host header names no host"),
        // HTTP/1.1 without one, or with two, is not even parsed; HTTP/2 says it in the target
        Some(_) | None => Ok(()),
    }
}

fn lengths(request: &ServiceRequest) -> impl Iterator<Item = (usize, usize)> {
    let headers = request.headers().iter();
    headers.map(|(name, value)| (name.as_str().len(), value.len()))
}

fn is_host(value: &HeaderValue) -> bool {
    let host = value
        .to_str()
        .ok()
        .and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|host| !host.as_str().contains('@'))
}

fn address(request: &ServiceRequest, peer: IpAddr, trusted: &Networks) -> IpAddr {
    if !trusted.contain(peer) {
        return peer.to_canonical();
    }
    let forwarded: Vec<_> = request
        .headers()
        .get_all(FORWARDED_FOR)
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    client(peer, forwarded.into_iter(), trusted)
}

fn scheme(request: &ServiceRequest, peer: IpAddr, trusted: &Networks) -> &'static str {
    let own = if request.app_config().secure() {
        "https"
    } else {
        "http"
    };
    if !trusted.contain(peer) {
        return own;
    }
    // the last proxy's word: the right-most
    let told = request.headers().get_all(FORWARDED_PROTO).last();
    let told = told
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next());
    match told.map(str::trim) {
        Some("https") => "https",
        Some("http") => "http",
        Some(_) | None => own,
    }
}

/// The client's own id where it can be kept, else a new one.
fn named(request: &ServiceRequest) -> HeaderValue {
    let kept = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| id.to_str().is_ok_and(request_id::is_acceptable));
    kept.cloned().unwrap_or_else(fresh_id)
}

fn fresh_id() -> HeaderValue {
    let id = chassis::clock::new_id().hyphenated().to_string();
    HeaderValue::try_from(id).unwrap_or_else(|_never| HeaderValue::from_static("unnamed"))
}
