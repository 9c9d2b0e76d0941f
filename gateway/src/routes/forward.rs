//! Everything a service answers.

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::problem::{Code, Problem};

use crate::domain::routing::{Access, RateClass, route};
use crate::edge::{self, Passage};
use crate::proxy::Proxy;

/// What services may be asked. `TRACE` and `CONNECT` talk to proxies, and nobody may talk to this one.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Checks the request and streams it to its service.
pub(crate) async fn forward(
    request: HttpRequest,
    payload: web::Payload,
    proxy: web::Data<Proxy>,
) -> Result<HttpResponse, Problem> {
    if !METHODS.contains(request.method()) {
        let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        return Err(Problem::new(Code::MethodNotAllowed).header(ALLOW, allowed));
    }
    let Some(route) = route(request.method().as_str(), request.path()) else {
        return Err(Problem::new(Code::NotFound));
    };
    if route.rate == RateClass::Login {
        edge::admit_attempt(&request)?;
    }
    if route.access == Access::Token {
        edge::admit(&request).await?;
    }
    let request_id = request_id(&request);
    Ok(proxy
        .forward(&request, payload.into_inner(), route, &request_id)
        .await?)
}

/// The id that the middleware gave the request.
pub(super) fn request_id(request: &HttpRequest) -> HeaderValue {
    Passage::of(request).map_or(HeaderValue::from_static(""), |passage| passage.request_id.clone())
}
