//! The service's own HTTP server: the service's routes inside what all services have in common.

mod connections;
mod event_streams;
mod upgrades;

use std::borrow::Cow;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_http::{HttpService, Protocol};
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Server, ServiceRequest, ServiceResponse};
use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::header::{ALLOW, CONTENT_LENGTH};
use actix_web::http::{ConnectionType, KeepAlive, Method, StatusCode};
use actix_web::middleware::{Condition, Next, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{
    App as ActixApp, Error, HttpMessage, HttpRequest, HttpResponse, HttpServer, ResponseError, web,
};
use futures::FutureExt;
use rustls::ServerConfig;
use tracing_actix_web::TracingLogger;
use upgrades::WithoutUpgrades;

use crate::auth::TokenVerifier;
use crate::docs::AllowedMethods;
use crate::head;
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
    match tls {
        Some(tls) => secured(listener, settings, tls, surface),
        None => plain(listener, settings, surface),
    }
}

/// HTTP/1.1 and HTTP/2 over TLS, which is where clients learn of HTTP/2.
fn secured(
    listener: TcpListener,
    settings: &HttpSettings,
    tls: ServerConfig,
    surface: Surface,
) -> std::io::Result<Server> {
    let (limit, limits) = (settings.body_limit_bytes, connections::Limits::of(settings));
    let server = HttpServer::new(move || app(&surface, limit))
        .on_connect(move |io, data| connections::watch(connections::secured(io), limits, data))
        .workers(workers(settings))
        .tcp_nodelay(true)
        .h1_allow_half_closed(HALF_CLOSED)
        .keep_alive(keep_alive(settings))
        .client_request_timeout(header_timeout(settings))
        .tls_handshake_timeout(header_timeout(settings))
        .max_connections(settings.max_connections)
        .shutdown_timeout(settings.shutdown_timeout_s)
        .disable_signals();
    Ok(server.listen_rustls_0_23(listener, tls)?.run())
}

/// HTTP/1.1. What `HttpServer::listen` does, on connections on which no upgrade is offered.
fn plain(listener: TcpListener, settings: &HttpSettings, surface: Surface) -> std::io::Result<Server> {
    let (settings, address) = (settings.clone(), listener.local_addr()?);
    let server = ServerBuilder::new()
        .workers(workers(&settings))
        .max_concurrent_connections(settings.max_connections)
        .shutdown_timeout(settings.shutdown_timeout_s)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("http", listener, move || {
        let (limits, stopping) = (connections::Limits::of(&settings), stopping.clone());
        let app = app(&surface, settings.body_limit_bytes)
            .into_factory()
            .map_err(|error: Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .h1_allow_half_closed(HALF_CLOSED)
            .keep_alive(keep_alive(&settings))
            .client_request_timeout(header_timeout(&settings))
            .local_addr(address)
            .on_connect_ext(move |io: &WithoutUpgrades<TcpStream>, data| {
                connections::watch(Some(io.get_ref()), limits, data);
            })
            // its host and address are made up; nothing here asks for them
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |io: TcpStream| {
            // a connection that is gone already shows when it is read
            let _gone = io.set_nodelay(true);
            let peer = io.peer_addr().ok();
            Ok((WithoutUpgrades::new(io), Protocol::Http1, peer))
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// A client that hangs up is served no further: what waits for it here, others could have.
const HALF_CLOSED: bool = false;

fn workers(settings: &HttpSettings) -> usize {
    match settings.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        asked => asked,
    }
}

fn keep_alive(settings: &HttpSettings) -> KeepAlive {
    KeepAlive::Timeout(Duration::from_secs(settings.keep_alive_s))
}

fn header_timeout(settings: &HttpSettings) -> Duration {
    Duration::from_millis(settings.header_timeout_ms)
}

/// The service's routes inside what all services have in common.
fn app(
    surface: &Surface,
    limit: usize,
) -> ActixApp<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let metrics = surface.metrics.clone();
    let health = surface.health.clone();
    ActixApp::new()
        .configure(|config| configure(config, surface, limit))
        .default_service(web::to(not_found))
        .wrap(from_fn(catch_panic))
        .wrap(Condition::new(surface.app.reads_heads, from_fn(head::as_get)))
        .wrap(from_fn(connections::count))
        .wrap(from_fn(move |request, next| {
            observe(metrics.clone(), request, next)
        }))
        .wrap(from_fn(move |request, next| {
            say_farewell(health.clone(), request, next)
        }))
        .wrap(TracingLogger::<RequestSpan>::new())
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

/// Where no route matches: 404, or 405 when another method has the path; and what the path allows, to whoever asks that.
pub(crate) async fn not_found(request: HttpRequest) -> HttpResponse {
    if request.match_pattern().is_some() {
        wrong_method(&request)
    } else {
        Problem::new(Code::NotFound).error_response()
    }
}

fn wrong_method(request: &HttpRequest) -> HttpResponse {
    let allowed = request
        .match_pattern()
        .zip(request.app_data::<AllowedMethods>())
        .and_then(|(pattern, allowed)| allowed.header(&pattern));
    match allowed {
        Some(methods) if request.method() == Method::OPTIONS => {
            HttpResponse::NoContent().insert_header((ALLOW, methods)).finish()
        }
        Some(methods) => Problem::new(Code::MethodNotAllowed)
            .header(ALLOW, methods)
            .error_response(),
        None => Problem::new(Code::MethodNotAllowed).error_response(),
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
    let (request, empty) = response.into_parts();
    let mut told = if status == StatusCode::METHOD_NOT_ALLOWED {
        wrong_method(&request)
    } else {
        Problem::new(Code::for_status(status)).error_response()
    };
    // of what both say, ours counts: the router knows the methods that it has a route for, and not that HEAD goes with GET
    let ours: Vec<_> = told.headers().keys().cloned().collect();
    for (name, value) in empty.headers() {
        if name != CONTENT_LENGTH && !ours.contains(name) {
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
