//! The interface of the whole platform: the documents of the services and the gateway's own, as one.
//!
//! Paths are each service's own, and operation ids are unique over all of them. A component that is the same in several
//! documents is there once; where two of one name differ, the later one is named after its service.

use serde_json::{Map, Value, json};
use thiserror::Error;

/// Why documents cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MergeError {
    /// A document is not what it should be.
    #[error("the document of {0} is no OpenAPI document")]
    NoDocument(String),
    /// Two documents have the operation.
    #[error("{method} {path} is in two documents")]
    TwoOperations {
        /// Its method.
        method: String,
        /// Its path.
        path: String,
    },
}

/// What the whole says of itself.
const DESCRIPTION: &str = "The whole interface, as the gateway offers it: accounts and logins, the catalogue and orders, \
                           payments, notifications, and what operators need. Each service's part is a document of its own.";

/// One document out of several, each with the name of its service.
///
/// # Errors
/// [`MergeError`] when one is no document, or two have the same operation.
pub fn merged(documents: impl IntoIterator<Item = (String, Value)>) -> Result<Value, MergeError> {
    let mut whole = Map::new();
    let (mut paths, mut components, mut tags) = (Map::new(), Map::new(), Vec::<Value>::new());
    for (service, mut document) in documents {
        let no_document = || MergeError::NoDocument(service.clone());
        for (section, name, new) in renamed(&service, &document, &components) {
            rename(&mut document, &section, &name, &new);
        }
        let Value::Object(mut members) = document else {
            return Err(no_document());
        };
        let (Some(Value::Object(of_service)), Some(Value::Object(own))) =
            (members.remove("paths"), members.remove("components"))
        else {
            return Err(no_document());
        };
        add_paths(&mut paths, of_service)?;
        for (section, own) in own {
            let Value::Object(own) = own else {
                return Err(no_document());
            };
            let shared = components.entry(section).or_insert_with(|| json!({}));
            if let Value::Object(shared) = shared {
                shared.extend(own);
            }
        }
        if let Some(Value::Array(own)) = members.remove("tags") {
            tags.extend(
                own.into_iter()
                    .filter(|tag| !tags.contains(tag))
                    .collect::<Vec<_>>(),
            );
        }
        // what is left is the same in all of them: the version, the servers, the contact
        whole.extend(members);
    }
    if let Some(Value::Object(info)) = whole.get_mut("info") {
        info.insert("title".to_owned(), json!("Quadrille"));
        info.insert("description".to_owned(), json!(DESCRIPTION));
    }
    whole.extend([
        ("paths".to_owned(), Value::Object(paths)),
        ("components".to_owned(), Value::Object(components)),
        ("tags".to_owned(), Value::Array(tags)),
    ]);
    Ok(Value::Object(whole))
}

fn add_paths(paths: &mut Map<String, Value>, of_service: Map<String, Value>) -> Result<(), MergeError> {
    for (path, item) in of_service {
        let Value::Object(item) = item else { continue };
        let there = paths.entry(path.clone()).or_insert_with(|| json!({}));
        for (method, operation) in item {
            if there.get(&method).is_some() {
                return Err(MergeError::TwoOperations { method, path });
            }
            if let Value::Object(there) = there {
                there.insert(method, operation);
            }
        }
    }
    Ok(())
}

/// Section, name and new name of each component that is another one under the same name in what there is already.
fn renamed(
    service: &str,
    document: &Value,
    components: &Map<String, Value>,
) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (section, own) in document["components"].as_object().into_iter().flatten() {
        for (name, component) in own.as_object().into_iter().flatten() {
            let there = components.get(section).and_then(|shared| shared.get(name));
            if there.is_some_and(|there| there != component) {
                found.push((section.clone(), name.clone(), format!("{service}_{name}")));
            }
        }
    }
    found
}

/// Gives a component another name, and whatever refers to it.
fn rename(document: &mut Value, section: &str, name: &str, new: &str) {
    let reference = |name: &str| format!("#/components/{section}/{name}");
    point(document, &reference(name), &reference(new));
    let own = document.pointer_mut(&format!("/components/{section}"));
    if let Some(own) = own.and_then(Value::as_object_mut)
        && let Some(component) = own.remove(name)
    {
        own.insert(new.to_owned(), component);
    }
}

fn point(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" && target == old => new.clone_into(target),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => point(member, old, new),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point(item, old, new)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, schemas: &Value) -> Value {
        json!({
            "openapi": "3.1.0",
            "info": {"title": path, "version": "1"},
            "tags": [{"name": "operations"}, {"name": path}],
            "paths": {path: {"get": {"responses": {"200": {"schema": {"$ref": "#/components/schemas/Item"}}}}}},
            "components": {"schemas": schemas},
        })
    }

    fn of(documents: [(&str, Value); 2]) -> Result<Value, MergeError> {
        merged(documents.map(|(name, document)| (name.to_owned(), document)))
    }

    #[test]
    fn equal_components_are_there_once_and_others_are_named_after_their_service() {
        let one = document(
            "/a",
            &json!({"Item": {"type": "string"}, "Same": {"type": "null"}}),
        );
        let schemas = json!({"Item": {"type": "object", "x": {"$ref": "#/components/schemas/Item"}}, "Same": {"type": "null"}});
        let whole = of([("a", one), ("b", document("/b", &schemas))]).unwrap();
        let schemas = whole["components"]["schemas"].as_object().unwrap();
        assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Item", "Same", "b_Item"]);
        let target = |path: &str| whole["paths"][path]["get"]["responses"]["200"]["schema"]["$ref"].clone();
        assert_eq!(target("/a"), "#/components/schemas/Item");
        assert_eq!(target("/b"), "#/components/schemas/b_Item");
        assert_eq!(
            whole["components"]["schemas"]["b_Item"]["x"]["$ref"],
            target("/b")
        );
        assert_eq!(
            whole["info"],
            json!({"title": "Quadrille", "description": DESCRIPTION, "version": "1"})
        );
        let tags: Vec<_> = whole["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| &tag["name"])
            .collect();
        assert_eq!(tags, ["operations", "/a", "/b"]);
    }

    #[test]
    fn what_cannot_be_one_is_refused() {
        let one = || document("/a", &json!({}));
        let twice = MergeError::TwoOperations {
            method: "get".to_owned(),
            path: "/a".to_owned(),
        };
        assert_eq!(of([("a", one()), ("b", one())]), Err(twice));
        for nothing in [
            json!(null),
            json!({"paths": {}}),
            json!([]),
            json!({"paths": 1, "components": {}}),
        ] {
            let refused = of([("a", one()), ("b", nothing)]);
            assert_eq!(refused, Err(MergeError::NoDocument("b".to_owned())));
        }
    }
}
