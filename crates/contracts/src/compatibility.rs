//! Whether an event's schema may take the place of an older one within its major version.
//!
//! Announcers and readers are not replaced at the same moment, and old events lie in Kafka: the reader of yesterday
//! must understand the event of today, and the reader of today the event of yesterday. So an event may gain optional
//! members and better descriptions; whatever else changes is a break.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// Members of a schema that tell people something and bind nobody.
const REMARKS: [&str; 9] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "title",
    "description",
    "example",
    "examples",
    "deprecated",
];
/// Members that are looked at one by one.
const SHAPE: [&str; 8] = [
    "properties",
    "required",
    "items",
    "enum",
    "$ref",
    "oneOf",
    "anyOf",
    "allOf",
];

/// One change that a reader would stumble over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Where: a JSON pointer into the event's body, `/items/*/quantity`.
    pub pointer: String,
    /// What changed.
    pub change: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() {
            "the body"
        } else {
            &self.pointer
        };
        write!(f, "{pointer}: {}", self.change)
    }
}

/// What breaks when `new` takes the place of `old`. Nothing found means that it may.
#[must_use]
pub fn breaks(old: &Value, new: &Value) -> Vec<Break> {
    let mut comparison = Comparison {
        old,
        new,
        trail: Vec::new(),
        found: Vec::new(),
    };
    comparison.schemas(String::new(), old, new);
    comparison.found
}

/// What to do about breaks, for whoever made the change: the build's last word.
#[must_use]
pub fn advice(event: &str, breaks: &[Break]) -> String {
    let list: String = breaks.iter().map(|found| format!("  - {found}\n")).collect();
    format!(
        "{event} would break its readers:\n{list}\
         Services are not replaced at the same moment, and events of the old shape lie in Kafka. Either keep what is \
         there and add an optional member beside it, or make a new major version:\n\
         \x20 1. keep the old type under another name (`...V1`), and its golden and schema files for ever;\n\
         \x20 2. give the new type the next number in `facts!` (crates/contracts/src/events/mod.rs): it is announced as \
         ...v2;\n\
         \x20 3. roll out readers of both first (`Participant::on_any`, by `envelope.major`), then the announcer;\n\
         \x20 4. `make contracts` publishes the new schema beside the old one.\n\
         See docs/contracts/README.md."
    )
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// The pairs of references that are being followed: a schema may contain itself.
    trail: Vec<(&'a str, &'a str)>,
    found: Vec<Break>,
}

impl<'a> Comparison<'a> {
    fn schemas(&mut self, at: String, old: &'a Value, new: &'a Value) {
        let pair = (reference(old), reference(new));
        if !pair.0.is_empty() && self.trail.contains(&pair) {
            return;
        }
        self.trail.push(pair);
        match (resolved(self.old, old), resolved(self.new, new)) {
            (Some(old), Some(new)) => {
                self.members(&at, old, new);
                self.required(&at, old, new);
                self.choices(&at, old, new);
                self.items(&at, old, new);
                self.branches(&at, old, new);
                self.rest(&at, old, new);
            }
            (None, _) | (_, None) => self.broken(&at, "refers to a schema that is not there"),
        }
        self.trail.pop();
    }

    /// Every member that was there is there, with what it was.
    fn members(&mut self, at: &str, old: &'a Map<String, Value>, new: &'a Map<String, Value>) {
        let after = new.get("properties").and_then(Value::as_object);
        for (name, before) in old
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let inside = format!("{at}/{name}");
            match after.and_then(|members| members.get(name)) {
                Some(after) => self.schemas(inside, before, after),
                None => self.broken(&inside, "was removed or renamed"),
            }
        }
    }

    /// What must be there is the same: one more and old events are refused, one less and old readers refuse.
    fn required(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let (before, after) = (texts(old.get("required")), texts(new.get("required")));
        for name in after.difference(&before) {
            self.broken(&format!("{at}/{name}"), "is newly required");
        }
        for name in before.difference(&after) {
            let still_there = new
                .get("properties")
                .is_some_and(|members| members.get(name).is_some());
            if still_there {
                self.broken(
                    &format!("{at}/{name}"),
                    "may be absent now, which old readers refuse",
                );
            }
        }
    }

    /// One value more is refused by old readers, one less by new ones.
    fn choices(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let (before, after) = (texts(old.get("enum")), texts(new.get("enum")));
        for value in after.difference(&before) {
            self.broken(at, &format!("may be {value:?} now, which old readers refuse"));
        }
        for value in before.difference(&after) {
            self.broken(
                at,
                &format!("may not be {value:?} any more, which old events are"),
            );
        }
    }

    fn items(&mut self, at: &str, old: &'a Map<String, Value>, new: &'a Map<String, Value>) {
        match (old.get("items"), new.get("items")) {
            (Some(old), Some(new)) => self.schemas(format!("{at}/*"), old, new),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => self.broken(at, "is another kind of list"),
        }
    }

    /// Alternatives, in their order: `null` or a money, say.
    fn branches(&mut self, at: &str, old: &'a Map<String, Value>, new: &'a Map<String, Value>) {
        for name in ["oneOf", "anyOf", "allOf"] {
            let of = |schema: &'a Map<String, Value>| schema.get(name).and_then(Value::as_array);
            let (before, after) = (of(old).into_iter().flatten(), of(new).into_iter().flatten());
            if before.clone().count() != after.clone().count() {
                self.broken(at, &format!("has other alternatives ({name})"));
                continue;
            }
            for (before, after) in before.zip(after) {
                self.schemas(at.to_owned(), before, after);
            }
        }
    }

    /// Whatever else binds a value: its type first of all.
    fn rest(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            if REMARKS.contains(&name.as_str()) || SHAPE.contains(&name.as_str()) {
                continue;
            }
            let (before, after) = (old.get(name), new.get(name));
            if before != after {
                let shown =
                    |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
                self.broken(at, &format!("{name} was {}, is {}", shown(before), shown(after)));
            }
        }
    }

    fn broken(&mut self, at: &str, change: &str) {
        self.found.push(Break {
            pointer: at.to_owned(),
            change: change.to_owned(),
        });
    }
}

/// What a schema refers to; empty when it stands for itself.
fn reference(schema: &Value) -> &str {
    schema.get("$ref").and_then(Value::as_str).unwrap_or_default()
}

/// The schema itself, or the one that it refers to within `document`.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> Option<&'a Map<String, Value>> {
    let mut schema = schema;
    for _ in 0..16 {
        match reference(schema) {
            "" => return schema.as_object(),
            target => schema = document.pointer(target.strip_prefix('#')?)?,
        }
    }
    None
}

fn texts(list: Option<&Value>) -> BTreeSet<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items
        .map(|item| item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned))
        .collect()
}
