//! The headers of the platform's records, and what they say.

use serde_json::{Map, Value, json};

/// One header of a record. All are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// A JSON Schema format or, where there is none, empty.
    pub format: &'static str,
    /// Whether every record has it.
    pub required: bool,
}

const fn always(name: &'static str, format: &'static str, meaning: &'static str) -> Header {
    Header {
        name,
        meaning,
        format,
        required: true,
    }
}

const fn sometimes(name: &'static str, format: &'static str, meaning: &'static str) -> Header {
    Header {
        required: false,
        ..always(name, format, meaning)
    }
}

/// The headers of an event.
pub const EVENT: &[Header] = &[
    always("content-type", "", "`application/json`."),
    always("ce_specversion", "", "`1.0`: the version of CloudEvents."),
    always("ce_id", "uuid", "This event, a UUIDv7. Deduplicate by it."),
    always(
        "ce_type",
        "",
        "The event's name and the major version of its body: `order.created.v1`.",
    ),
    always("ce_source", "", "The service that announced it."),
    always("ce_time", "date-time", "When it was announced, in UTC."),
    always(
        "ce_subject",
        "uuid",
        "What it is about: the same as the record's key.",
    ),
    always("ce_partitionkey", "uuid", "The record's key."),
    always(
        "ce_sequence",
        "",
        "The number of the event among those of its announcing aggregate, from 1, in 20 digits.",
    ),
    always(
        "ce_correlationid",
        "uuid",
        "The saga: constant from the first request to the last event.",
    ),
    always(
        "ce_causationid",
        "uuid",
        "The event or the request that led to this one.",
    ),
    sometimes(
        "traceparent",
        "",
        "W3C trace context, where the announcer was traced.",
    ),
    sometimes("tracestate", "", "W3C trace state, beside `traceparent`."),
];

/// The headers that a dead letter has besides those of the original.
pub const DEAD_LETTER: &[Header] = &[
    always(
        "x-dead-letter-id",
        "uuid",
        "The dead letter in its service's database.",
    ),
    always(
        "x-dead-letter-record-id",
        "uuid",
        "This notice, a UUIDv7. Deduplicate by it.",
    ),
    always(
        "x-dead-letter-kind",
        "",
        "What died: `message`, `action` or `publication`.",
    ),
    always(
        "x-dead-letter-name",
        "",
        "The topic of the message, or the name of the action.",
    ),
    always("x-consumer-group", "", "The service that gave up."),
    always("x-retry-count", "", "How often it was tried again."),
    always("x-error-class", "", "The kind of the last error, in kebab-case."),
    always("x-error-message", "", "The last error, capped."),
    always(
        "x-error-fingerprint",
        "",
        "The same for errors of the same making: dead letters are grouped by it.",
    ),
    always("x-first-failed-at", "date-time", "When it failed first, in UTC."),
    always("x-last-failed-at", "date-time", "When it was given up, in UTC."),
    sometimes(
        "x-original-topic",
        "",
        "Where the message was read; an action has no origin.",
    ),
    sometimes("x-original-partition", "", "The partition it was read from."),
    sometimes("x-original-offset", "", "Its offset there."),
    sometimes("x-original-timestamp", "date-time", "The record's own time."),
];

/// An object with a member a header.
pub(super) fn schema(headers: &[Header]) -> Value {
    let properties: Map<String, Value> = headers
        .iter()
        .map(|header| (header.name.to_owned(), member(header)))
        .collect();
    let required: Vec<&str> = headers
        .iter()
        .filter(|header| header.required)
        .map(|header| header.name)
        .collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn member(header: &Header) -> Value {
    if header.format.is_empty() {
        json!({ "type": "string", "description": header.meaning })
    } else {
        json!({ "type": "string", "format": header.format, "description": header.meaning })
    }
}
