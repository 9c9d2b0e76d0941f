//! What each event's body looks like, as JSON Schema 2020-12, from the types that are written and read.

use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::events::{Event, Fact};
use crate::topics::Topic;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Where utoipa points to other schemas, and where a document of its own has them.
const SHARED: &str = "#/components/schemas/";
const OWN: &str = "#/$defs/";

/// The schema of one major version of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// Where the event travels.
    pub topic: Topic,
    /// The major version of its body.
    pub major: u32,
    /// The body, complete in itself: what it refers to is in `$defs`.
    pub schema: Value,
}

/// The schemas of all events, as the code of today writes them.
///
/// # Errors
/// Only if a schema could not be written as JSON.
pub fn all() -> serde_json::Result<Vec<EventSchema>> {
    Event::schemas()
}

impl EventSchema {
    /// The schema of `F`.
    pub(crate) fn of<F: Fact + ToSchema>() -> serde_json::Result<Self> {
        let (topic, major) = (F::TOPIC, F::MAJOR);
        let mut others: Vec<(String, RefOr<Schema>)> = Vec::new();
        <F as ToSchema>::schemas(&mut others);
        let mut schema = serde_json::to_value(<F as PartialSchema>::schema())?;
        let mut defs = serde_json::Map::new();
        for (name, other) in others {
            defs.insert(name, serde_json::to_value(other)?);
        }
        if let Value::Object(members) = &mut schema {
            members.insert("$schema".to_owned(), json!(DIALECT));
            members.insert("$id".to_owned(), json!(identity(topic, major)));
            members.insert("title".to_owned(), json!(F::name()));
            members.insert("$defs".to_owned(), Value::Object(defs));
        }
        point(&mut schema, SHARED, OWN);
        Ok(Self { topic, major, schema })
    }

    /// The event's type with its version, as `ce_type` has it: `order.created.v1`.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}.v{}", self.topic, self.major)
    }
}

fn identity(topic: Topic, major: u32) -> String {
    format!("https://quadrille.dev/contracts/events/{topic}.v{major}.json")
}

/// Turns every reference that begins with `from` into one that begins with `to`.
pub(crate) fn point(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => {
                        if let Some(rest) = target.strip_prefix(from) {
                            *target = format!("{to}{rest}");
                        }
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => point(member, from, to),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point(item, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
