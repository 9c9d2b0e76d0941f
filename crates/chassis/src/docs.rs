//! The OpenAPI document: what every service's has in common, and what it is good for: `/openapi.json`, the Swagger UI at
//! `/docs`, the `Allow` header.

mod complete;
mod glossary;
mod problems;
mod schemas;

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::header::{ContentType, HeaderValue, LOCATION};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, guard, web};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem};
use utoipa::{Modify, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use complete::complete;
pub use problems::{OwnProblems, name_problems};

/// One event of a stream, as OpenAPI shows it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a shape for the documents, never made")]
pub struct ServerSentEvent {
    /// What it is.
    event: Option<String>,
    /// Its number; sent back as `Last-Event-ID`, the stream goes on after it.
    id: Option<String>,
    /// JSON.
    data: String,
}

/// Where the document is.
const DOCUMENT: &str = "/openapi.json";

/// Adds the security scheme `bearer` to a document.
#[derive(Debug, Clone, Copy)]
pub struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Registers document and UI. The workers share the document's text: each with a tree of its own, it would be most of the
/// memory that a worker takes.
pub(crate) fn configure(config: &mut web::ServiceConfig, document: Bytes) {
    let answer = move || {
        let document = document.clone();
        async move {
            HttpResponse::Ok()
                .content_type(ContentType::json())
                .body(document)
        }
    };
    let document = web::resource(DOCUMENT).guard(guard::Get()).to(answer);
    config
        .route("/docs", web::get().to(to_ui))
        .service(document)
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from(DOCUMENT)));
}

async fn to_ui() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}

/// Which methods each documented path has.
#[derive(Clone, Default)]
pub(crate) struct AllowedMethods {
    by_pattern: Arc<HashMap<String, HeaderValue>>,
}

impl AllowedMethods {
    pub(crate) fn of(openapi: &OpenApi) -> Self {
        let paths = openapi.paths.paths.iter();
        let by_pattern = paths
            .filter_map(|(path, item)| Some((path.clone(), methods(item)?)))
            .collect();
        Self {
            by_pattern: Arc::new(by_pattern),
        }
    }

    /// The value of `Allow` for a route's pattern.
    pub(crate) fn header(&self, pattern: &str) -> Option<HeaderValue> {
        self.by_pattern.get(pattern).cloned()
    }
}

fn methods(item: &PathItem) -> Option<HeaderValue> {
    let methods = [
        ("GET", item.get.is_some()),
        ("HEAD", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("PATCH", item.patch.is_some()),
        ("DELETE", item.delete.is_some()),
    ];
    let present: Vec<_> = methods
        .iter()
        .filter(|(_, present)| *present)
        .map(|(method, _)| *method)
        .chain(["OPTIONS"])
        .collect();
    HeaderValue::from_str(&present.join(", ")).ok()
}
