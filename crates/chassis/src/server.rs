//! The service's own HTTP server: the service's routes inside what all services have in common.

mod connections;

use std::borrow::Cow;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::http::{ConnectionType, KeepAlive, StatusCode};
use actix_web::middleware::{Next, from_fn};
use actix_web::{
    App as ActixApp, Error, HttpMessage, HttpRequest, HttpResponse, HttpServer, ResponseError, web,
};
use futures::FutureExt;
use rustls::ServerConfig;
use tracing_actix_web::TracingLogger;

use crate::auth::TokenVerifier;
use crate::docs::AllowedMethods;
use crate::health::Health;
use crate::json::BodyLimit;
use crate::metrics::{Metrics, RouteTemplate};
use crate::page::CursorKey;
use crate::problem::{Code, Problem};
use crate::service::App;
use crate::settings::HttpSettings;
use crate::telemetry::RequestSpan;

/// What the server is made of.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) app: App,
    /// The OpenAPI document, as JSON.
    pub(crate) openapi: web::Bytes,
    pub(crate) allowed: AllowedMethods,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) verifier: TokenVerifier,
    pub(crate) cursor_key: CursorKey,
}

/// Starts the server on a bound listener.
pub(crate) fn serve(
    listener: TcpListener,
    settings: &HttpSettings,
    tls: Option<ServerConfig>,
    surface: Surface,
) -> std::io::Result<Server> {
    let limit = settings.body_limit_bytes;
    let server = HttpServer::new(move || {
        let metrics = surface.metrics.clone();
        let health = surface.health.clone();
        ActixApp::new()
            .configure(|config| configure(config, &surface, limit))
            .default_service(web::to(not_found))
            .wrap(from_fn(catch_panic))
            .wrap(from_fn(connections::count))
            .wrap(from_fn(move |request, next| {
                observe(metrics.clone(), request, next)
            }))
            .wrap(from_fn(move |request, next| {
                say_farewell(health.clone(), request, next)
            }))
            .wrap(TracingLogger::<RequestSpan>::new())
    });
    let limits = connections::Limits::of(settings);
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        asked => asked,
    };
    let server = server
        .on_connect(move |io, data| connections::watch(io, limits, data))
        .workers(workers)
        .tcp_nodelay(true)
        // a client that hangs up is served no further: what waits for it here, others could have
        .h1_allow_half_closed(false)
        .keep_alive(KeepAlive::Timeout(Duration::from_secs(settings.keep_alive_s)))
        .client_request_timeout(Duration::from_millis(settings.header_timeout_ms))
        .tls_handshake_timeout(Duration::from_millis(settings.header_timeout_ms))
        .max_connections(settings.max_connections)
        .shutdown_timeout(settings.shutdown_timeout_s)
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

fn configure(config: &mut web::ServiceConfig, surface: &Surface, limit: usize) {
    config
        .app_data(BodyLimit(limit))
        .app_data(surface.allowed.clone())
        .app_data(surface.cursor_key.clone())
        .app_data(web::PayloadConfig::new(limit))
        .app_data(
            web::JsonConfig::default()
                .limit(limit)
                .error_handler(|error, _| json_problem(&error).into()),
        )
        .app_data(web::QueryConfig::default().error_handler(|error, _| query_problem(&error).into()))
        .app_data(web::PathConfig::default().error_handler(|error, _| path_problem(error).into()))
        .app_data(web::Data::new(surface.health.clone()))
        .app_data(web::Data::new(surface.verifier.clone()));
    if surface.app.health_route {
        config.route("/health", web::get().to(crate::health::health));
    }
    if surface.app.docs {
        crate::docs::configure(config, surface.openapi.clone());
    }
    (surface.app.configure)(config);
}

/// Where no route matches: 404, or 405 when another method has the path.
pub(crate) async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    if request.match_pattern().is_some() {
        Err(method_not_allowed(&request))
    } else {
        Err(Problem::new(Code::NotFound))
    }
}

fn method_not_allowed(request: &HttpRequest) -> Problem {
    let problem = Problem::new(Code::MethodNotAllowed);
    let allowed = request
        .match_pattern()
        .zip(request.app_data::<AllowedMethods>())
        .and_then(|(pattern, allowed)| allowed.header(&pattern));
    match allowed {
        Some(methods) => problem.header(ALLOW, methods),
        None => problem,
    }
}

fn json_problem(error: &JsonPayloadError) -> Problem {
    Problem::new(Code::for_status(error.status_code()))
}

fn query_problem(error: &QueryPayloadError) -> Problem {
    Problem::new(Code::InvalidQuery).detail(error.to_string())
}

/// An id that is none names no resource.
fn path_problem(error: PathError) -> Problem {
    Problem::new(Code::NotFound).caused_by(error)
}

/// A panic in a handler becomes a 500 instead of a closed connection. The panic hook has logged it.
async fn catch_panic<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_panic) => Err(Problem::new(Code::Internal).already_logged().into()),
    }
}

/// Once a stop has begun, each answer is the last on its connection: whoever asks again connects anew, to somebody else.
async fn say_farewell<B: MessageBody>(
    health: Health,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    if health.is_draining() {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Measures the request, and makes a problem of an empty error response (the framework's own 404 and 405).
async fn observe<B: MessageBody + 'static>(
    metrics: Metrics,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.match_pattern();
    let outcome = next.call(request).await.map(as_problem);
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let took = started.elapsed();
    let template = outcome.as_ref().ok().and_then(template_of);
    let route = template.as_deref().or(route.as_deref());
    metrics.observe_request(method.as_str(), route.unwrap_or("(none)"), status.as_u16(), took);
    tracing::debug!(
        http.response.status_code = status.as_u16(),
        duration_ms = millis(took),
        "request done"
    );
    outcome
}

fn template_of(response: &ServiceResponse<BoxBody>) -> Option<Cow<'static, str>> {
    let extensions = response.request().extensions();
    Some(extensions.get::<RouteTemplate>()?.0.clone())
}

fn as_problem<B: MessageBody + 'static>(response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error
        || !matches!(
            response.response().body().size(),
            BodySize::None | BodySize::Sized(0)
        )
    {
        return response.map_into_boxed_body();
    }
    let problem = if status == StatusCode::METHOD_NOT_ALLOWED {
        method_not_allowed(response.request())
    } else {
        Problem::new(Code::for_status(status))
    };
    let (request, empty) = response.into_parts();
    let mut told = problem.error_response();
    for (name, value) in empty.headers() {
        if name != CONTENT_LENGTH && name != CONTENT_TYPE {
            told.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, told)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
