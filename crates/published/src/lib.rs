//! What the platform publishes about itself, made from its code: the OpenAPI document of each service and of all of them, the
//! `AsyncAPI` document of all topics, the JSON Schema of each event, the catalogue of errors.
//!
//! All of it is committed under docs/, so that a change of an interface shows in the change that makes it. The test of
//! this crate compares; `make contracts` writes.

use chassis::Service;
use serde_json::{Map, Value};

/// One published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its path in the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Every published file, as the code of today makes it.
///
/// # Errors
/// Only if a document could not be written as JSON.
pub fn documents() -> serde_json::Result<Vec<Document>> {
    let mut documents = vec![
        openapi::<auth::AuthService>()?,
        openapi::<gateway::GatewayService>()?,
        openapi::<notification::NotificationService>()?,
        openapi::<order::OrderService>()?,
        openapi::<payment::PaymentService>()?,
        json("docs/contracts/openapi/quadrille.json", whole()?)?,
        json("docs/contracts/asyncapi.json", contracts::asyncapi::document()?)?,
    ];
    for event in contracts::schema::all()? {
        let path = format!("docs/contracts/events/{}.json", event.message());
        documents.push(json(path, event.schema)?);
    }
    documents.push(Document {
        path: "docs/ERRORS.md".to_owned(),
        text: chassis::problem::catalogue(),
    });
    Ok(documents)
}

/// What `<service> openapi` prints.
fn openapi<S: Service>() -> serde_json::Result<Document> {
    let path = format!("docs/contracts/openapi/{}.json", S::NAME);
    json(path, serde_json::to_value(S::openapi())?)
}

/// What the gateway shows as the whole interface, at `/docs/openapi.json`.
fn whole() -> serde_json::Result<Value> {
    let documents = [
        ("auth", serde_json::to_value(auth::AuthService::openapi())?),
        ("orders", serde_json::to_value(order::OrderService::openapi())?),
        (
            "payments",
            serde_json::to_value(payment::PaymentService::openapi())?,
        ),
        (
            "notifications",
            serde_json::to_value(notification::NotificationService::openapi())?,
        ),
        (
            "gateway",
            serde_json::to_value(gateway::GatewayService::openapi())?,
        ),
    ];
    let documents = documents.map(|(name, document)| (name.to_owned(), document));
    gateway::openapi::merged(documents).map_err(serde::de::Error::custom)
}

/// Members in the order of their names: a document changes only where what it says does.
fn json(path: impl Into<String>, value: Value) -> serde_json::Result<Document> {
    let text = serde_json::to_string_pretty(&sorted(value))? + "\n";
    Ok(Document {
        path: path.into(),
        text,
    })
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members
                .into_iter()
                .map(|(name, member)| (name, sorted(member)))
                .collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(members.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
