//! Everything a service answers.

use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::problem::{Code, Problem};

use crate::domain::interface;
use crate::domain::routing::{Access, RateClass, route};
use crate::edge::{self, Passage};
use crate::proxy::Proxy;

/// What services may be asked. `TRACE` and `CONNECT` talk to proxies, and nobody may talk to this one.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// Checks the request and streams it to its service.
pub(crate) async fn forward(
    request: HttpRequest,
    payload: web::Payload,
    proxy: web::Data<Proxy>,
) -> Result<HttpResponse, Problem> {
    let (method, path) = (request.method(), request.path());
    let Some(route) = route(method.as_str(), path) else {
        return Err(Problem::new(Code::NotFound));
    };
    if method == Method::OPTIONS {
        let allowed = interface::resource(path).map(|resource| interface::allow(resource.operations));
        return allowed.map_or_else(|| Err(Problem::new(Code::NotFound)), super::options);
    }
    if !METHODS.contains(method) {
        return Err(nothing_there(path));
    }
    if route.rate == RateClass::Login {
        edge::admit_attempt(&request)?;
    }
    if route.access == Access::Token {
        // where nothing is protected, nobody is asked who they are. Whoever says so is led to the service, which knows best
        let is_known = interface::operation(method.as_str(), path).is_some();
        if !is_known && !request.headers().contains_key(AUTHORIZATION) {
            return Err(nothing_there(path));
        }
        edge::admit(&request).await?;
    }
    let request_id = request_id(&request);
    Ok(proxy
        .forward(&request, payload.into_inner(), route, &request_id)
        .await?)
}

/// Why there is no such operation: no such resource, or no such method of it.
fn nothing_there(path: &str) -> Problem {
    interface::resource(path).map_or_else(
        || Problem::new(Code::NotFound),
        |resource| super::method_not_allowed(interface::allow(resource.operations)),
    )
}

/// The id that the middleware gave the request.
pub(super) fn request_id(request: &HttpRequest) -> HeaderValue {
    Passage::of(request).map_or(HeaderValue::from_static(""), |passage| passage.request_id.clone())
}
