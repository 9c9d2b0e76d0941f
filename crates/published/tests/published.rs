//! What is committed under docs/ is what the code says. `make contracts` writes it anew.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use contracts::asyncapi::DEAD_LETTER;
use contracts::compatibility::{advice, breaks};
use published::{Document, documents};
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a switch of this test, not a setting")]
fn writes() -> bool {
    std::env::var_os("UPDATE_CONTRACTS").is_some()
}

/// The committed schema of an event is what its readers rely on: it is never overwritten by one that breaks them.
fn refuse_breaks(document: &Document, committed: &str) {
    let Some(file) = document.path.strip_prefix("docs/contracts/events/") else {
        return;
    };
    let Ok(old) = serde_json::from_str::<Value>(committed) else {
        return; // not there yet
    };
    let found = breaks(&old, &serde_json::from_str(&document.text).unwrap());
    assert!(
        found.is_empty(),
        "{}",
        advice(file.trim_end_matches(".json"), &found)
    );
}

/// Where two texts part.
fn difference(committed: &str, made: &str) -> String {
    let lines = committed.lines().chain(std::iter::repeat("")).zip(made.lines());
    let found = lines.enumerate().find(|(_, (old, new))| old != new);
    found.map_or_else(
        || "the committed one is longer".to_owned(),
        |(number, (old, new))| format!("line {}\n    committed: {old}\n    the code:  {new}", number + 1),
    )
}

#[test]
fn what_is_published_is_what_the_code_says() {
    let mut stale = Vec::new();
    for document in documents().unwrap() {
        let path = repository().join(&document.path);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        refuse_breaks(&document, &committed);
        if committed == document.text {
            continue;
        }
        if writes() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &document.text).unwrap();
        } else {
            stale.push(format!(
                "  {}: {}",
                document.path,
                difference(&committed, &document.text)
            ));
        }
    }
    assert!(
        stale.is_empty(),
        "what is published differs from the code; `make contracts` writes it anew, and the change belongs into the \
         same commit:\n{}",
        stale.join("\n")
    );
}

#[test]
fn nothing_else_is_published() {
    let made: BTreeSet<String> = documents()
        .unwrap()
        .into_iter()
        .map(|document| document.path)
        .collect();
    // schemas of events stay for ever, whatever becomes of the code: crates/contracts looks after them
    for directory in ["docs/contracts", "docs/contracts/openapi"] {
        for file in std::fs::read_dir(repository().join(directory)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let path = format!("{directory}/{name}");
            assert!(
                !name.ends_with(".json") || made.contains(&path),
                "{path} is of nothing"
            );
        }
    }
}

#[test]
fn every_document_of_an_interface_is_openapi_3_1_with_all_it_refers_to() {
    fn walk(document: &Value, value: &Value) {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            assert!(
                document.pointer(target.trim_start_matches('#')).is_some(),
                "{target} leads nowhere"
            );
        }
        match value {
            Value::Object(members) => members.values().for_each(|member| walk(document, member)),
            Value::Array(items) => items.iter().for_each(|item| walk(document, item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut names = Vec::new();
    for document in documents().unwrap() {
        let Some(name) = document.path.strip_prefix("docs/contracts/openapi/") else {
            continue;
        };
        let body: Value = serde_json::from_str(&document.text).unwrap();
        assert!(body["openapi"].as_str().unwrap().starts_with("3.1."), "{name}");
        assert!(!body["paths"].as_object().unwrap().is_empty(), "{name}");
        walk(&body, &body);
        let mut operations = BTreeSet::new();
        for (path, item) in body["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let Some(id) = operation["operationId"].as_str() else {
                    panic!("{name}: {method} {path} has no operationId");
                };
                assert!(operations.insert(id.to_owned()), "{name}: {id} twice");
            }
        }
        names.push(name.trim_end_matches(".json").to_owned());
    }
    assert_eq!(
        names,
        ["auth", "gateway", "notification", "order", "payment", "quadrille"]
    );
}

/// The operations of the services' documents: document, `METHOD path`, operation.
fn operations() -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for document in documents().unwrap() {
        let Some(name) = document.path.strip_prefix("docs/contracts/openapi/") else {
            continue;
        };
        let body: Value = serde_json::from_str(&document.text).unwrap();
        for (path, item) in body["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let place = format!("{} {path}", method.to_uppercase());
                found.push((name.to_owned(), place, operation.clone()));
            }
        }
    }
    found
}

#[test]
fn an_operation_has_an_id_that_no_other_service_has_and_the_whole_document_has_each_once() {
    let (whole, parts): (Vec<_>, Vec<_>) = operations()
        .into_iter()
        .partition(|(name, _, _)| name == "quadrille.json");
    let id = |(_, place, operation): &(String, String, Value)| {
        (
            operation["operationId"].as_str().unwrap().to_owned(),
            place.clone(),
        )
    };
    let (ids, together): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (parts.iter().map(id).collect(), whole.iter().map(id).collect());
    assert_eq!(ids.len(), parts.len(), "an operation id is there twice");
    assert_eq!(ids, together);
}

#[test]
fn every_operation_names_what_it_may_be_answered_with() {
    for (name, place, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        for status in responses.keys() {
            assert!(
                status.parse::<u16>().is_ok(),
                "{name}: {place} answers with {status}, which is no one status"
            );
        }
        for always in ["400", "429", "500", "502", "503", "504"] {
            assert!(
                responses.contains_key(always),
                "{name}: {place} does not tell of {always}"
            );
        }
        assert_eq!(
            responses.contains_key("401"),
            !operation["security"].as_array().unwrap().is_empty()
                || place == "POST /auth/login"
                || place == "POST /auth/refresh",
            "{name}: {place}"
        );
        for text in ["summary", "description"] {
            assert!(
                !operation[text].as_str().unwrap().is_empty(),
                "{name}: {place} has no {text}"
            );
        }
    }
}

/// A member that refers to a schema is described there.
#[test]
fn everything_is_described() {
    let mut bare = Vec::new();
    for document in documents().unwrap() {
        let Some(name) = document.path.strip_prefix("docs/contracts/openapi/") else {
            continue;
        };
        let body: Value = serde_json::from_str(&document.text).unwrap();
        for (schema, of_schema) in body["components"]["schemas"].as_object().unwrap() {
            if of_schema["description"].as_str().is_none() {
                bare.push(format!("{name}: schema {schema}"));
            }
            for (member, of_member) in of_schema["properties"].as_object().into_iter().flatten() {
                if of_member["description"].as_str().is_none() && of_member["$ref"].is_null() {
                    bare.push(format!("{name}: schema {schema}, member {member}"));
                }
            }
        }
    }
    for (name, place, operation) in operations() {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["description"].as_str().is_none() {
                bare.push(format!("{name}: {place}, parameter {}", parameter["name"]));
            }
        }
    }
    assert!(bare.is_empty(), "without a description:\n  {}", bare.join("\n  "));
}

/// Swagger UI proposes the example, and otherwise makes one up that is refused.
#[test]
fn every_json_body_has_an_example_with_all_that_is_required() {
    for document in documents().unwrap() {
        if !document.path.starts_with("docs/contracts/openapi/") {
            continue;
        }
        let whole: Value = serde_json::from_str(&document.text).unwrap();
        let items = whole["paths"].as_object().unwrap().iter();
        let operations = items.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        for (place, operation) in operations {
            let body = &operation["requestBody"]["content"]["application/json"];
            if body.is_null() {
                continue;
            }
            let target = body["schema"]["$ref"]
                .as_str()
                .map(|target| target.trim_start_matches('#'));
            let schema = target.map_or(&body["schema"], |target| whole.pointer(target).unwrap());
            let example = body.get("example").or(schema.get("example"));
            let Some(example) = example.and_then(Value::as_object) else {
                panic!("{}: {place} has no example of its body", document.path);
            };
            for required in schema["required"].as_array().into_iter().flatten() {
                let member = required.as_str().unwrap();
                assert!(
                    example.contains_key(member),
                    "{}: {place} lacks {member}",
                    document.path
                );
            }
        }
    }
}

/// The kernel writes these headers and the contracts tell of them; neither knows the other.
#[test]
fn the_documented_headers_of_dead_letters_are_those_that_the_kernel_writes() {
    let kernel = repository().join("crates/messaging/src");
    let text: String = ["dead_letter.rs", "retry.rs"]
        .map(|file| std::fs::read_to_string(kernel.join(file)).unwrap())
        .concat();
    let written: BTreeSet<&str> = text.split('"').filter(|word| word.starts_with("x-")).collect();
    let documented: BTreeSet<&str> = DEAD_LETTER.iter().map(|header| header.name).collect();
    assert_eq!(written, documented);
}
