//! What the OpenAPI document is good for: `/openapi.json`, the Swagger UI at `/docs`, the `Allow` header.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::{HttpResponse, web};
use utoipa::Modify;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_swagger_ui::SwaggerUi;

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

/// Registers document and UI.
pub(crate) fn configure(config: &mut web::ServiceConfig, openapi: OpenApi) {
    config
        .route("/docs", web::get().to(to_ui))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", openapi));
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
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("PATCH", item.patch.is_some()),
        ("DELETE", item.delete.is_some()),
    ];
    let present: Vec<_> = methods
        .iter()
        .filter(|(_, present)| *present)
        .map(|(method, _)| *method)
        .collect();
    HeaderValue::from_str(&present.join(", ")).ok()
}
