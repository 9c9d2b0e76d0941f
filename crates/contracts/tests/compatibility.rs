//! Events may grow and never break: the schemas of today against those that were published, and the comparison itself
//! against changes that it must see.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

use std::path::PathBuf;

use contracts::compatibility::{advice, breaks};
use contracts::schema;
use contracts::{Envelope, Topic, asyncapi};
use serde_json::{Value, json};

fn published() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/contracts/events")
}

#[test]
fn no_event_of_today_breaks_a_published_one() {
    let mut compared = 0;
    for event in schema::all().unwrap() {
        let file = published().join(format!("{}.json", event.message()));
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue; // a new event or a new major version: nobody reads it yet
        };
        let old: Value = serde_json::from_str(&text).unwrap();
        let found = breaks(&old, &event.schema);
        assert!(found.is_empty(), "{}", advice(&event.message(), &found));
        compared += 1;
    }
    assert!(compared >= 8, "only {compared} events are published");
}

#[test]
fn what_was_published_stays_published_and_its_topic_lives() {
    let schemas = schema::all().unwrap();
    for file in std::fs::read_dir(published()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let (topic, major) = name.strip_suffix(".json").unwrap().rsplit_once(".v").unwrap();
        let (topic, major): (Topic, u32) = (topic.parse().unwrap(), major.parse().unwrap());
        let event = schemas.iter().find(|event| event.topic == topic);
        assert!(
            event.is_some_and(|event| event.major >= major),
            "{name} is of no event"
        );
    }
    for event in schemas {
        for major in 1..=event.major {
            let file = published().join(format!("{}.v{major}.json", event.topic));
            assert!(
                file.exists(),
                "{} is gone; make contracts writes it",
                file.display()
            );
        }
    }
}

fn order_created() -> Value {
    let all = schema::all().unwrap();
    let found = all.into_iter().find(|event| event.topic == Topic::OrderCreated);
    found.unwrap().schema
}

/// Changes the schema of `order.created` and says what breaks.
fn after(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let (old, mut new) = (order_created(), order_created());
    change(&mut new);
    assert_ne!(old, new, "the change changed nothing");
    breaks(&old, &new).iter().map(ToString::to_string).collect()
}

fn required(schema: &mut Value) -> &mut Vec<Value> {
    schema["required"].as_array_mut().unwrap()
}

#[test]
fn an_event_may_gain_what_nobody_needs() {
    assert_eq!(breaks(&order_created(), &order_created()), []);
    let found = after(|new| {
        new["properties"]["gift_note"] = json!({"type": ["string", "null"]});
        new["$defs"]["OrderLine"]["properties"]["gift"] = json!({"type": "boolean"});
        new["description"] = json!("In other words.");
        new["properties"]["total"]["description"] = json!("In other words, too.");
        required(new).reverse();
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn another_name_of_a_type_is_no_change_of_the_event() {
    let found = after(|new| {
        let line = new["$defs"].as_object_mut().unwrap().remove("OrderLine").unwrap();
        new["$defs"]["Line"] = line;
        new["properties"]["items"]["items"] = json!({"$ref": "#/$defs/Line"});
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_removed_a_renamed_and_a_retyped_member_are_breaks() {
    let removed = after(|new| {
        new["properties"]
            .as_object_mut()
            .unwrap()
            .remove("payment_method");
        required(new).retain(|name| name != "payment_method");
    });
    assert_eq!(removed, ["/payment_method: was removed or renamed"]);

    let renamed = after(|new| {
        let line = &mut new["$defs"]["OrderLine"];
        let quantity = line["properties"]
            .as_object_mut()
            .unwrap()
            .remove("quantity")
            .unwrap();
        line["properties"]["count"] = quantity;
        required(line).retain(|name| name != "quantity");
        required(line).push(json!("count"));
    });
    assert_eq!(
        renamed,
        [
            "/items/*/quantity: was removed or renamed",
            "/items/*/count: is newly required"
        ]
    );

    let retyped = after(|new| new["$defs"]["Money"]["properties"]["amount_minor"]["type"] = json!("string"));
    assert_eq!(
        retyped,
        [
            r#"/items/*/unit_price/amount_minor: type was "integer", is "string""#,
            r#"/total/amount_minor: type was "integer", is "string""#,
        ]
    );
    let renumbered = after(|new| new["$defs"]["OrderId"]["format"] = json!("ulid"));
    assert_eq!(renumbered, [r#"/order_id: format was "uuid", is "ulid""#]);
    let closed = after(|new| new["additionalProperties"] = json!(false));
    assert_eq!(closed, ["the body: additionalProperties was nothing, is false"]);
    let single = after(|new| new["properties"]["items"] = json!({"$ref": "#/$defs/OrderLine"}));
    assert!(
        single.contains(&"/items: is another kind of list".to_owned()),
        "{single:?}"
    );
    let dangling = after(|new| new["properties"]["total"] = json!({"$ref": "#/$defs/Gold"}));
    assert_eq!(dangling, ["/total: refers to a schema that is not there"]);
}

#[test]
fn a_member_may_not_become_required_nor_optional() {
    let more = after(|new| {
        new["properties"]["channel"] = json!({"type": "string"});
        required(new).push(json!("channel"));
    });
    assert_eq!(more, ["/channel: is newly required"]);
    let less = after(|new| required(new).retain(|name| name != "total"));
    assert_eq!(less, ["/total: may be absent now, which old readers refuse"]);
}

#[test]
fn choices_may_neither_grow_nor_shrink() {
    let all = schema::all().unwrap();
    let old = &all
        .iter()
        .find(|event| event.topic == Topic::OrderCancelled)
        .unwrap()
        .schema;
    let mut new = old.clone();
    let reasons = new["$defs"]["CancellationReason"]["enum"].as_array_mut().unwrap();
    reasons.retain(|reason| reason != "payment_timeout");
    reasons.push(json!("out_of_stock"));
    let found: Vec<String> = breaks(old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            r#"/reason: may be "out_of_stock" now, which old readers refuse"#,
            r#"/reason: may not be "payment_timeout" any more, which old events are"#,
        ]
    );
}

#[test]
fn alternatives_and_schemas_within_themselves_are_compared() {
    let old = json!({
        "properties": {"next": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]}},
        "$defs": {"Node": {"properties": {"next": {"$ref": "#/$defs/Node"}, "value": {"type": "integer"}}}},
    });
    assert_eq!(breaks(&old, &old), []);
    let mut new = old.clone();
    new["$defs"]["Node"]["properties"]["value"]["type"] = json!("number");
    assert_eq!(breaks(&old, &new).len(), 1);
    let mut new = old.clone();
    new["properties"]["next"]["oneOf"]
        .as_array_mut()
        .unwrap()
        .remove(0);
    assert_eq!(breaks(&old, &new)[0].change, "has other alternatives (oneOf)");
}

#[test]
fn the_advice_names_the_event_the_change_and_the_way_out() {
    let (old, mut new) = (order_created(), order_created());
    new["properties"].as_object_mut().unwrap().remove("total");
    let advice = advice("order.created.v1", &breaks(&old, &new));
    for part in [
        "order.created.v1 would break",
        "/total: was removed or renamed",
        "new major version",
        "make contracts",
    ] {
        assert!(advice.contains(part), "{advice}");
    }
}

#[test]
fn the_documented_headers_are_those_that_are_written() {
    let envelope = Envelope {
        id: "01936d9a-7c00-7000-8000-000000000001".parse().unwrap(),
        name: "order.created".into(),
        major: 1,
        source: "order".into(),
        time: "2026-11-21T10:00:00Z".parse().unwrap(),
        key: uuid::Uuid::from_u128(2),
        sequence: 1,
        correlation_id: uuid::Uuid::from_u128(3),
        causation_id: uuid::Uuid::from_u128(4),
        traceparent: None,
        tracestate: None,
    };
    let names = |envelope: &Envelope| -> Vec<&str> {
        envelope.to_headers().into_iter().map(|(name, _)| name).collect()
    };
    let documented = |required: bool| -> Vec<&str> {
        let headers = asyncapi::EVENT.iter();
        let kept = headers.filter(|header| header.required || !required);
        kept.map(|header| header.name).collect()
    };
    assert_eq!(names(&envelope), documented(true));
    let traced = Envelope {
        traceparent: Some("00".into()),
        tracestate: Some("a=b".into()),
        ..envelope
    };
    assert_eq!(names(&traced), documented(false));
}

#[test]
fn every_reference_of_the_document_of_all_topics_leads_somewhere() {
    fn walk(document: &Value, value: &Value, found: &mut usize) {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            // `/` within a name would be `~1`; topics have none
            let there = document.pointer(target.strip_prefix('#').unwrap());
            assert!(there.is_some(), "{target}");
            *found += 1;
        }
        match value {
            Value::Object(members) => members.values().for_each(|member| walk(document, member, found)),
            Value::Array(items) => items.iter().for_each(|item| walk(document, item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = asyncapi::document().unwrap();
    let mut found = 0;
    walk(&document, &document, &mut found);
    assert!(found > 60, "{found}");
    for topic in Topic::ALL {
        let channel = &document["channels"][topic.name()];
        assert_eq!(channel["address"], topic.name());
        assert_eq!(channel["messages"].as_object().unwrap().len(), 1, "{topic}");
        assert_ne!(channel["description"], "");
        assert!(document["operations"][format!("announce.{topic}")].is_object());
    }
}
