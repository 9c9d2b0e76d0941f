//! Which members a body lacks. serde stops at the first; the type's schema, which is published anyway, knows them all.

use std::collections::HashMap;

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayItems, Schema};

use super::pointer;

/// How deep schemas are followed.
const DEPTH_MAX: usize = 32;

/// Pointers to the members that a body of the type needs and does not have.
pub(super) fn of<T: ToSchema>(body: &Value) -> Vec<String> {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let mut search = Search {
        named: named.into_iter().collect(),
        missing: Vec::new(),
    };
    search.look(&T::schema(), body, "", DEPTH_MAX);
    search.missing
}

struct Search {
    named: HashMap<String, RefOr<Schema>>,
    missing: Vec<String>,
}

impl Search {
    fn look(&mut self, schema: &RefOr<Schema>, value: &Value, at: &str, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match schema {
            RefOr::Ref(to) => {
                let name = to.ref_location.rsplit('/').next().unwrap_or_default();
                if let Some(schema) = self.named.get(name).cloned() {
                    self.look(&schema, value, at, depth);
                }
            }
            RefOr::T(Schema::Object(object)) => {
                let Value::Object(members) = value else { return };
                let lacks = object.required.iter().filter(|name| !members.contains_key(*name));
                self.missing.extend(lacks.map(|name| pointer::below(at, name)));
                for (name, schema) in &object.properties {
                    if let Some(value) = members.get(name) {
                        self.look(schema, value, &pointer::below(at, name), depth);
                    }
                }
            }
            RefOr::T(Schema::Array(array)) => {
                let (Value::Array(items), ArrayItems::RefOrSchema(schema)) = (value, &array.items) else {
                    return;
                };
                for (index, item) in items.iter().enumerate() {
                    self.look(schema, item, &format!("{at}/{index}"), depth);
                }
            }
            RefOr::T(Schema::AllOf(all)) => {
                for schema in &all.items {
                    self.look(schema, value, at, depth);
                }
            }
            // what one of several lacks another may not need; of null and something, it is something
            RefOr::T(Schema::OneOf(one)) if value.is_object() => {
                let mut somethings = one.items.iter().filter(|schema| !is_null(schema));
                if let (Some(schema), None) = (somethings.next(), somethings.next()) {
                    self.look(schema, value, at, depth);
                }
            }
            RefOr::T(_) => {}
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    use utoipa::openapi::schema::{SchemaType, Type};
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
