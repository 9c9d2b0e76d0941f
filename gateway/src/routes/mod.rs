//! The gateway's HTTP surface: what it answers itself, and what it passes on.

pub(crate) mod docs;
mod forward;
pub(crate) mod health;
pub(crate) mod operations;
mod payment_progress;
pub(crate) mod reconciliation;
pub(crate) mod timeline;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::{Handler, HttpRequest, HttpResponse, Resource, Responder, Route, guard, web};
use chassis::problem::{Code, Problem};
use messaging::operations::Operations;

use crate::config::EdgeSettings;
use crate::edge;
use crate::openapi::OPERATIONS;

/// Prefixes that are passed on. Which service answers, and on which terms, is decided by
/// [`crate::domain::routing`]; these give each request a pattern for spans and metrics.
const PREFIXES: [&str; 5] = ["/auth", "/products", "/orders", "/payments", "/notifications"];

/// Registers everything, inside the middleware that every request passes.
pub(crate) fn configure(config: &mut web::ServiceConfig, settings: &EdgeSettings, letters: &Operations) {
    let own = web::scope(OPERATIONS)
        .wrap(from_fn(edge::admit_each))
        .wrap(from_fn(chassis::head::as_get))
        .configure(|config| ::operations::configure(config, "", letters.clone()))
        .default_service(web::to(not_found));
    let mut scope = web::scope("")
        .wrap(edge::cors(settings))
        .wrap(from_fn(edge::pass))
        .service(read_only("/health", health::health))
        .service(read_only("/openapi.json", docs::own_openapi))
        .service(read_only("/docs", docs::index))
        .service(read_only("/docs/", docs::index))
        .service(read_only("/docs/openapi.json", docs::whole_openapi))
        .service(read_only("/docs/assets/{file}", docs::asset))
        .service(read_only("/docs/events", docs::events::page))
        .service(read_only("/docs/events/", docs::events::page))
        .service(read_only("/docs/events/asyncapi.json", docs::events::asyncapi))
        .service(read_only("/docs/{name}", docs::page))
        .service(read_only("/docs/{name}/", docs::page))
        .service(read_only("/docs/{name}/openapi.json", docs::document))
        .service(read_only("/orders/{id}/timeline", timeline::timeline))
        .service(read_only(
            "/operations/reconciliation",
            reconciliation::reconciliation,
        ))
        .service(read_only("/operations/audit", operations::audit::audit))
        .service(read_only(
            "/operations/dead-letters",
            operations::dead_letters::dead_letters,
        ))
        .service(read_only("/operations/replays", operations::replays::replays))
        .service(read_only("/operations/search", operations::search::search))
        .service(own)
        .service(web::resource("/.well-known/jwks.json").to(forward::forward));
    for prefix in PREFIXES {
        scope = scope
            .service(web::resource(prefix).to(forward::forward))
            .service(web::resource(format!("{prefix}/{{path:.*}}")).to(forward::forward));
    }
    config.service(scope.default_service(web::to(not_found)));
}

/// A resource of the gateway itself, which can only be read.
fn read_only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(get_or_head().to(handler))
        .default_service(web::to(only_read))
}

fn get_or_head() -> Route {
    web::route().guard(guard::Any(guard::Method(Method::GET)).or(guard::Method(Method::HEAD)))
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::NotFound))
}

/// What a resource that can only be read answers to other methods.
async fn only_read(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let allowed = "GET, HEAD, OPTIONS".to_owned();
    if request.method() == Method::OPTIONS {
        options(allowed)
    } else {
        Err(method_not_allowed(allowed))
    }
}

/// What a resource can be asked, by name. Pages of other origins ask so too, and are told the rest by [`edge::cors`].
fn options(allowed: String) -> Result<HttpResponse, Problem> {
    let allowed = HeaderValue::try_from(allowed).map_err(Problem::internal)?;
    Ok(HttpResponse::NoContent().insert_header((ALLOW, allowed)).finish())
}

fn method_not_allowed(allowed: String) -> Problem {
    let problem = Problem::new(Code::MethodNotAllowed);
    match HeaderValue::try_from(allowed) {
        Ok(allowed) => problem.header(ALLOW, allowed),
        Err(_never) => problem,
    }
}
