//! Which fields of an answer never change.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// Nothing that is published nests deeper.
const DEPTH_MAX: usize = 16;

/// The values that each field had.
type Seen = BTreeMap<String, BTreeSet<String>>;

/// The fields of a documented answer that are the same in all of `answers`: hard-coded, or never filled. `schema` is the
/// component of `document` (an `OpenAPI` document) that the answers have. What is in a list is `[]`, in a map `{}`:
/// `items[].state`, `counts.orders{}`. A field that is absent where its parent is there counts as null; one whose parents
/// are never there is constant.
#[must_use]
pub fn constants(document: &Value, schema: &str, answers: &[Value]) -> Vec<String> {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    let mut seen = Seen::new();
    let answers: Vec<&Value> = answers.iter().collect();
    walk(document, &schema, "", &answers, 0, &mut seen);
    let constant = seen.into_iter().filter(|(_, values)| values.len() < 2);
    constant.map(|(path, _)| path).collect()
}

fn walk(document: &Value, schema: &Value, path: &str, values: &[&Value], depth: usize, seen: &mut Seen) {
    if depth > DEPTH_MAX {
        return;
    }
    let parts = parts(document, schema);
    let members: BTreeMap<&String, &Value> = parts
        .iter()
        .filter_map(|part| part.get("properties")?.as_object())
        .flatten()
        .collect();
    let of = |keyword: &str| {
        parts
            .iter()
            .find_map(|part| part.get(keyword).filter(|it| it.is_object()))
    };
    let (each, any) = (of("items"), of("additionalProperties"));
    if members.is_empty() && each.is_none() && any.is_none() {
        let texts = values.iter().map(ToString::to_string);
        seen.entry(path.to_owned()).or_default().extend(texts);
    }
    let objects = || values.iter().filter_map(|value| value.as_object());
    for (name, schema) in &members {
        let values: Vec<&Value> = objects()
            .map(|object| object.get(*name).unwrap_or(&Value::Null))
            .collect();
        let path = if path.is_empty() {
            (*name).clone()
        } else {
            format!("{path}.{name}")
        };
        walk(document, schema, &path, &values, depth.saturating_add(1), seen);
    }
    if let Some(schema) = each {
        let values: Vec<&Value> = values
            .iter()
            .filter_map(|value| value.as_array())
            .flatten()
            .collect();
        walk(
            document,
            schema,
            &format!("{path}[]"),
            &values,
            depth.saturating_add(1),
            seen,
        );
    }
    if let Some(schema) = any {
        let others = objects()
            .flatten()
            .filter(|(name, _)| !members.contains_key(name));
        let values: Vec<&Value> = others.map(|(_, value)| value).collect();
        walk(
            document,
            schema,
            &format!("{path}{{}}"),
            &values,
            depth.saturating_add(1),
            seen,
        );
    }
}

/// The schema without references and alternatives: all that may say what is in it.
fn parts<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let target = schema.get("$ref").and_then(Value::as_str);
    let target = target.and_then(|target| document.pointer(target.strip_prefix('#')?));
    let combined = ["allOf", "oneOf", "anyOf"]
        .iter()
        .filter_map(|keyword| schema.get(keyword)?.as_array())
        .flatten();
    let inner = combined.chain(target).flat_map(|inner| parts(document, inner));
    std::iter::once(schema).chain(inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_changes_is_named_by_its_path() {
        let document = json!({"components": {"schemas": {
            "Report": {"allOf": [
                {"$ref": "#/components/schemas/Counts"},
                {"properties": {"items": {"type": "array", "items": {"properties": {
                    "state": {"type": "string"}, "attempts": {"type": "integer"}, "error": {"type": ["string", "null"]},
                }}}}},
            ]},
            "Counts": {"properties": {
                "orders": {"additionalProperties": {"type": "integer"}},
                "letters": {"additionalProperties": {"type": "integer"}},
                "held": {"oneOf": [{"type": "null"}, {"properties": {"since": {"type": "string"}}}]},
            }},
        }}});
        let answers = [
            json!({"orders": {"pending": 1}, "letters": {}, "held": null, "items": [
                {"state": "open", "attempts": 0, "error": null}, {"state": "replayed", "attempts": 0, "error": "no"},
            ]}),
            json!({"orders": {"pending": 2}, "letters": {}, "held": {"since": "now"}, "items": []}),
        ];
        assert_eq!(
            constants(&document, "Report", &answers),
            ["held.since", "items[].attempts", "letters{}"]
        );
    }
}
