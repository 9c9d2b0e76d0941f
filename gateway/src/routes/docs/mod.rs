//! `/docs`: Swagger UI for every service, for the gateway itself, and for all of them as one; and the events of all.

pub(crate) mod events;

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::problem::{Code, Problem};
use serde_json::Value;

use super::forward::request_id;
use crate::domain::routing::{RouteClass, Upstream};
use crate::openapi;
use crate::proxy::{Proxy, ProxyError};

/// The page that shows one document; `{{name}}` and `{{title}}` are filled in.
const PAGE: &str = include_str!("page.html");
/// The page that links the others.
const INDEX: &str = include_str!("index.html");
/// Starts Swagger UI on the document that the page names.
const START: &str = include_str!("start.js");

/// Nothing from elsewhere; Swagger UI draws with inline styles and `data:` images.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Whose document a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Platform,
    Gateway,
    Service(Upstream),
}

impl Subject {
    fn named(name: &str) -> Result<Self, Problem> {
        match name {
            "quadrille" => return Ok(Self::Platform),
            "gateway" => return Ok(Self::Gateway),
            _ => {}
        }
        let upstream = Upstream::ALL
            .into_iter()
            .find(|upstream| upstream.public_name() == name);
        upstream
            .map(Self::Service)
            .ok_or_else(|| Problem::new(Code::NotFound))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Platform => "quadrille",
            Self::Gateway => "gateway",
            Self::Service(upstream) => upstream.public_name(),
        }
    }
}

/// Links every page.
pub(crate) async fn index() -> HttpResponse {
    html(INDEX.to_owned())
}

/// Swagger UI for one document.
pub(crate) async fn page(name: web::Path<String>) -> Result<HttpResponse, Problem> {
    Ok(html(PAGE.replace("{{name}}", Subject::named(&name)?.name())))
}

/// One document: a service's as the service gives it, the gateway's own, or all as one.
pub(crate) async fn document(
    request: HttpRequest,
    name: web::Path<String>,
    proxy: web::Data<Proxy>,
) -> Result<HttpResponse, Problem> {
    match Subject::named(&name)? {
        Subject::Platform => whole_openapi(request, proxy).await,
        Subject::Gateway => own_openapi().await,
        Subject::Service(upstream) => {
            let id = request_id(&request);
            Ok(proxy.fetch(&request, upstream, "/openapi.json", &id).await?)
        }
    }
}

/// The gateway's own document.
pub(crate) async fn own_openapi() -> Result<HttpResponse, Problem> {
    let document = openapi::document().to_json().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(document))
}

/// The documents of all services and the gateway's own as one. It is whole or it is not there: a part that is missing would
/// look like one that does not exist.
pub(crate) async fn whole_openapi(
    request: HttpRequest,
    proxy: web::Data<Proxy>,
) -> Result<HttpResponse, Problem> {
    let id = request_id(&request);
    let target = PathAndQuery::from_static("/openapi.json");
    let parts = Upstream::ALL.map(|upstream| {
        let asked = (upstream, RouteClass::Standard);
        let document = proxy.find::<Value>(&request, asked, target.clone(), &id);
        async move {
            let document = document.await?.ok_or_else(|| ProxyError::Upstream {
                upstream,
                cause: "has no OpenAPI document".to_owned(),
                sent: true,
            })?;
            Ok::<_, ProxyError>((upstream.public_name().to_owned(), document))
        }
    });
    let mut documents = futures::future::try_join_all(parts).await?;
    let own = serde_json::to_value(openapi::document()).map_err(Problem::internal)?;
    documents.push((Subject::Gateway.name().to_owned(), own));
    let whole =
        openapi::merged(documents).map_err(|error| Problem::new(Code::BadGateway).caused_by(error))?;
    Ok(HttpResponse::Ok().json(whole))
}

/// Swagger UI's own files, out of the program.
pub(crate) async fn asset(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let cached = (CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    if file.as_str() == "start.js" {
        return Ok(HttpResponse::Ok()
            .content_type("text/javascript")
            .insert_header(cached)
            .body(START));
    }
    let found = utoipa_swagger_ui::serve(&file, Arc::new(utoipa_swagger_ui::Config::default()))
        .map_err(|error| Problem::internal(anyhow::anyhow!("{error}")))?
        .ok_or_else(|| Problem::new(Code::NotFound))?;
    let mut response = HttpResponse::Ok();
    if found.gzpipped {
        response.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    }
    Ok(response
        .content_type(found.content_type)
        .insert_header(cached)
        .body(found.bytes.into_owned()))
}

fn html(page: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(page)
}
