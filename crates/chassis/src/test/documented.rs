//! Holds answers against the document of the service that gave them: a status that an operation does not document, or a
//! problem that it does not name, fails the test that met it.
#![expect(clippy::panic, reason = "only tests call this: a panic is their report")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use reqwest::{Method, Url};
use serde_json::Value;
use utoipa::openapi::OpenApi;

/// The documents of the services that run in this process, by their ports: the last one that had a port counts.
static DOCUMENTS: Mutex<Option<HashMap<u16, Value>>> = Mutex::new(None);

/// Notes what the service at `address` documents.
pub(super) fn register(address: SocketAddr, document: &OpenApi) -> serde_json::Result<()> {
    let document = serde_json::to_value(document)?;
    let mut documents = DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    documents.get_or_insert_default().insert(address.port(), document);
    Ok(())
}

/// Checks an answer. What no document tells of, such as another method of a resource, is not judged.
///
/// # Panics
/// When the document of the service at `url` has the operation, and not this answer.
pub fn check_documented(method: &Method, url: &Url, status: u16, body: &[u8]) {
    let documents = DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let document = url
        .port()
        .zip(documents.as_ref())
        .and_then(|(port, all)| all.get(&port));
    let wrong = document.and_then(|document| undocumented(document, method, url.path(), status, body));
    drop(documents);
    if let Some(wrong) = wrong {
        panic!("{method} {} {wrong}", url.path());
    }
}

/// What is wrong with an answer.
fn undocumented(document: &Value, method: &Method, path: &str, status: u16, body: &[u8]) -> Option<String> {
    let operation = operation(document, method, path)?;
    let Some(response) = operation.get("responses")?.get(status.to_string()) else {
        return Some(format!("answered {status}, which its document does not tell of"));
    };
    let target = response.get("$ref").and_then(Value::as_str);
    let response = target.map_or(Some(response), |target| {
        document.pointer(target.trim_start_matches('#'))
    })?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let kind = body.get("type").filter(|_| status >= 400)?;
    let schema = response.pointer("/content/application~1problem+json/schema/allOf/1")?;
    let named = schema
        .pointer("/properties/type/enum")
        .and_then(Value::as_array)?;
    (!named.contains(kind)).then(|| format!("answered {status} {kind}, which its document does not name"))
}

/// The operation of the most particular path that fits: `/orders/dead-letters` comes before `/orders/{id}`.
fn operation<'a>(document: &'a Value, method: &Method, path: &str) -> Option<&'a Value> {
    let read_as = if *method == Method::HEAD {
        Method::GET
    } else {
        method.clone()
    };
    let paths = document.get("paths")?.as_object()?;
    let fitting = paths.iter().filter(|(template, _)| fits(template, path));
    let (_, item) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(read_as.as_str().to_ascii_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(wanted, there)| wanted == there || (wanted.starts_with('{') && !there.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_no_document_tells_of_is_found_out() {
        let types = |code: &str| json!({"allOf": [{}, {"properties": {"type": {"enum": [code]}}}]});
        let problem = |code: &str| json!({"content": {"application/problem+json": {"schema": types(code)}}});
        let document = json!({
            "paths": {
                "/things/{id}": {"get": {"responses": {"200": {}, "404": {"$ref": "#/components/responses/missing"}}}},
                "/things/all": {"get": {"responses": {"400": problem("a")}}, "post": {"responses": {}}},
            },
            "components": {"responses": {"missing": problem("b")}},
        });
        let wrong = |method, path, status, kind: &str| {
            let body = json!({"type": kind}).to_string();
            undocumented(&document, &method, path, status, body.as_bytes())
        };
        for (method, path, status, kind) in [
            (Method::GET, "/things/1", 200, "whatever"),
            (Method::HEAD, "/things/1", 404, "b"),
            (Method::GET, "/things/all", 400, "a"),
            (Method::PUT, "/things/all", 405, "c"),
            (Method::GET, "/others", 404, "c"),
        ] {
            assert_eq!(wrong(method, path, status, kind), None, "{path} {status}");
        }
        for (method, path, status, kind) in [
            (Method::GET, "/things/1", 201, ""),
            (Method::GET, "/things/1", 404, "a"),
            (Method::GET, "/things/all", 200, ""),
            (Method::GET, "/things/all", 400, "b"),
            (Method::POST, "/things/all", 200, ""),
        ] {
            assert!(wrong(method, path, status, kind).is_some(), "{path} {status}");
        }
    }
}
