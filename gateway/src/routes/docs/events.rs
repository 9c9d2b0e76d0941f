//! `/docs/events`: all topics, as the `AsyncAPI` document tells of them, on one page that needs nothing from elsewhere.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value indexed by a name answers null where there is none"
)]

use std::fmt::Write as _;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use chassis::problem::Problem;
use serde_json::{Map, Value};

/// The page around the topics; `{{about}}`, `{{version}}`, `{{contents}}`, `{{topics}}` and `{{headers}}` are filled in.
const PAGE: &str = include_str!("events.html");

/// The document is what the program was built from, so it is made once.
static DOCUMENT: LazyLock<Option<Value>> = LazyLock::new(|| contracts::asyncapi::document().ok());
static RENDERED: LazyLock<Option<String>> = LazyLock::new(|| DOCUMENT.as_ref().map(render));

/// The page.
pub(crate) async fn page() -> Result<HttpResponse, Problem> {
    RENDERED.clone().map(super::html).ok_or_else(unwritable)
}

/// The document.
pub(crate) async fn asyncapi() -> Result<HttpResponse, Problem> {
    let document = DOCUMENT.as_ref().ok_or_else(unwritable)?;
    Ok(HttpResponse::Ok().json(document))
}

fn unwritable() -> Problem {
    Problem::internal(anyhow::anyhow!("the asyncapi document cannot be written"))
}

/// The document for people. Whatever comes out of it is escaped.
fn render(document: &Value) -> String {
    let info = &document["info"];
    let (mut contents, mut topics) = (String::new(), String::new());
    for (name, channel) in members(&document["channels"]) {
        let name = escaped(name);
        // Writing to a string does not fail.
        let _ = writeln!(contents, "<li><a href=\"#{name}\"><code>{name}</code></a></li>");
        topics.push_str(&topic(document, &name, channel));
    }
    let mut headers = String::new();
    for (title, schema) in [
        ("Headers of an event", "event-headers"),
        (
            "Headers of a dead letter, besides the original's",
            "dead-letter-headers",
        ),
    ] {
        let schema = &document["components"]["schemas"][schema];
        let _ = write!(headers, "<h3>{title}</h3>\n{}", table(document, schema));
    }
    // The order matters: what is filled in last cannot be taken for a gap.
    PAGE.replace("{{version}}", &escaped(text(&info["version"])))
        .replace("{{contents}}", &contents)
        .replace("{{headers}}", &headers)
        .replace("{{about}}", &prose(text(&info["description"])))
        .replace("{{topics}}", &topics)
}

fn topic(document: &Value, name: &str, channel: &Value) -> String {
    let operation = &document["operations"][format!("announce.{name}")];
    let mut section = format!(
        "<section id=\"{name}\">\n<h2><code>{name}</code></h2>\n<p>{}</p>\n<p class=\"who\">{} Consumed by: {}.</p>\n",
        prose(text(&channel["description"])),
        prose(text(&operation["summary"])),
        escaped(&receivers(document, name).join(", ")),
    );
    for reference in members(&channel["messages"]).map(|(_, message)| message) {
        section.push_str(&message(document, resolved(document, reference)));
    }
    section + "</section>\n"
}

/// Who consumes a topic.
fn receivers<'a>(document: &'a Value, topic: &str) -> Vec<&'a str> {
    let channel = format!("#/channels/{topic}");
    let operations = members(&document["operations"]).map(|(_, operation)| operation);
    operations
        .filter(|operation| {
            operation["action"] == "receive" && operation["channel"]["$ref"] == channel.as_str()
        })
        .map(|operation| text(&operation["tags"][0]["name"]))
        .collect()
}

fn message(document: &Value, message: &Value) -> String {
    let key = &message["bindings"]["kafka"]["key"];
    let mut part = format!("<h3>{}</h3>\n", escaped(text(&message["name"])));
    for (label, about) in [("", &message["description"]), ("Key: ", &key["description"])] {
        if !text(about).is_empty() {
            let _ = writeln!(part, "<p>{label}{}</p>", prose(text(about)));
        }
    }
    let payload = &message["payload"];
    if payload["properties"].is_object() {
        part.push_str(&table(document, payload));
    } else {
        let _ = writeln!(part, "<p>Body: {}</p>", prose(text(&payload["description"])));
    }
    for example in message["examples"].as_array().into_iter().flatten() {
        let body = serde_json::to_string_pretty(&example["payload"]).unwrap_or_default();
        let _ = writeln!(
            part,
            "<details><summary>Example</summary><pre>{}</pre></details>",
            escaped(&body)
        );
    }
    part
}

/// The members of an object, and of those within it.
fn table(document: &Value, schema: &Value) -> String {
    let mut rows = String::new();
    rows_of(document, schema, "", 0, &mut rows);
    format!(
        "<table>\n<thead><tr><th>Name</th><th>Type</th><th>Always</th><th>Meaning</th></tr></thead>\n<tbody>\n{rows}\
         </tbody>\n</table>\n"
    )
}

fn rows_of(document: &Value, schema: &Value, prefix: &str, depth: usize, rows: &mut String) {
    let required = schema["required"].as_array();
    for (name, member) in members(&schema["properties"]) {
        let target = resolved(document, member);
        let always = required.is_some_and(|names| names.iter().any(|required| required == name.as_str()));
        let meaning = [member, target].map(|schema| text(&schema["description"]));
        let meaning = meaning
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default();
        let path = format!("{prefix}{name}");
        let _ = writeln!(
            rows,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&path),
            escaped(&kind(document, target)),
            if always { "yes" } else { "no" },
            prose(meaning),
        );
        let (inner, prefix) = match target.get("items") {
            None => (target, format!("{path}.")),
            Some(items) => (resolved(document, items), format!("{path}[].")),
        };
        // A schema may contain itself.
        if depth < 4 {
            rows_of(document, inner, &prefix, depth + 1, rows);
        }
    }
}

/// A type in words: `string (uuid)`, `integer or null`, `a | b`.
fn kind(document: &Value, schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<&str> = choices.iter().map(text).collect();
        return choices.join(" | ");
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let kinds: Vec<String> = alternatives
            .iter()
            .map(|one| kind(document, resolved(document, one)))
            .collect();
        return kinds.join(" or ");
    }
    let types = schema["type"].as_array();
    let name = types.map_or_else(
        || text(&schema["type"]).to_owned(),
        |types| types.iter().map(text).collect::<Vec<_>>().join(" or "),
    );
    match text(&schema["format"]) {
        "" => name,
        format => format!("{name} ({format})"),
    }
}

/// The schema or message itself, or the one that it refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = text(&value["$ref"]).strip_prefix('#');
    target
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Escaped, with what stands between backticks as code.
fn prose(text: &str) -> String {
    let parts = escaped(text);
    let mut written = String::with_capacity(parts.len());
    for (number, part) in parts.split('`').enumerate() {
        match number % 2 {
            0 => written.push_str(part),
            _ => written.push_str(&format!("<code>{part}</code>")),
        }
    }
    written
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            other => written.push(other),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_the_document_says_is_text_on_the_page() {
        const NASTY: &str = "<script>alert(\"1\")</script>&'`<b>`";
        let document = json!({
            "info": {"version": NASTY, "description": NASTY},
            "channels": {NASTY: {"description": NASTY, "messages": {NASTY: {
                "name": NASTY,
                "description": NASTY,
                "bindings": {"kafka": {"key": {"description": NASTY}}},
                "payload": {"properties": {NASTY: {
                    "type": NASTY, "format": NASTY, "description": NASTY, "items": {"properties": {NASTY: {"enum": [NASTY]}}},
                }}},
                "examples": [{"payload": NASTY}],
            }}}},
            "components": {"schemas": {"event-headers": {"properties": {NASTY: {"oneOf": [{"type": NASTY}]}}}}},
        });
        let page = render(&document);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.matches("&lt;script&gt;alert(").count() >= 14, "{page}");
        assert!(page.contains("<code>&lt;b&gt;</code>"));
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let document = json!({"s": {"properties": {"next": {"$ref": "#/s"}}}});
        assert!(table(&document, &document["s"]).contains("next.next.next"));
    }
}
