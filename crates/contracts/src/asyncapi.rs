//! All topics as one `AsyncAPI` 3.0 document: what travels where, under which key, with which headers.
//!
//! It says who sends and which of the platform's services receive; an acceptance test holds the latter against what running
//! services subscribe to. Whoever else listens changes nothing here: a service that announces a fact does not know its
//! listeners.

use serde_json::{Map, Value, json};

use crate::envelope::CONTENT_TYPE;
use crate::schema::{EventSchema, all, point};
use crate::topics::Topic;

mod headers;

pub use headers::{DEAD_LETTER, EVENT, Header};

/// Where a key is placed, in librdkafka's words: as Kafka's Java client does, and records without a key anywhere.
pub const PARTITIONER: &str = "murmur2_random";

/// Who takes part.
const SERVICES: [(&str, &str); 5] = [
    ("auth", "Accounts and logins"),
    (
        "gateway",
        "Writes each saga's timeline, and refuses logins that have ended",
    ),
    ("notification", "Notifies users"),
    ("order", "Orders, from placing to their end"),
    ("payment", "Takes payments and gives them back"),
];

/// Where the message of every dead-letter topic is.
const DEAD_LETTER_MESSAGE: &str = "dead-letter";

/// The document.
///
/// # Errors
/// Only if a schema could not be written as JSON.
pub fn document() -> serde_json::Result<Value> {
    let events = all()?;
    let mut schemas = Map::new();
    let mut messages = Map::new();
    for event in &events {
        messages.insert(event.message(), message(event, shared(event, &mut schemas))?);
    }
    messages.insert(DEAD_LETTER_MESSAGE.to_owned(), dead_letter());
    schemas.insert("event-headers".to_owned(), headers::schema(EVENT));
    schemas.insert("dead-letter-headers".to_owned(), headers::schema(DEAD_LETTER));
    let channels: Map<String, Value> = Topic::ALL
        .into_iter()
        .map(|topic| (topic.name().to_owned(), channel(topic, &events)))
        .collect();
    let operations: Map<String, Value> = Topic::ALL
        .into_iter()
        .flat_map(|topic| {
            let received = topic.received_by().iter();
            let received =
                received.map(move |service| (format!("receive.{topic}.{service}"), Some(*service), topic));
            std::iter::once((format!("announce.{topic}"), None, topic)).chain(received)
        })
        .map(|(name, receiver, topic)| {
            let operation = match receiver {
                None => send(topic, &events),
                Some(service) => receive(topic, service, &events),
            };
            (name, operation)
        })
        .collect();
    Ok(json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Quadrille: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The facts that the services announce to each other over Kafka, as CloudEvents 1.0 in \
                            binary mode: attributes are record headers, the body is plain JSON. Members and headers \
                            that a reader does not know are to be ignored. Delivery is at least once: deduplicate by \
                            `ce_id`. One key's events stand on one partition, in the order they were announced: the \
                            one that Kafka's Java client chooses, `(murmur2(key) & 0x7fffffff) % partitions`. Whoever \
                            writes to a topic, or joins one with another by partition, places keys so \
                            (librdkafka: `partitioner=murmur2_random`).",
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
            "contact": { "name": "Quadrille", "url": "https://quadrille.dev" },
            "tags": SERVICES.map(|(name, description)| json!({ "name": name, "description": description })),
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "local": { "host": "127.0.0.1:9092", "protocol": "kafka", "description": "The broker of a local stack." },
        },
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    }))
}

/// Moves what the event's schema refers to among the schemas of all, and leaves the body.
fn shared(event: &EventSchema, schemas: &mut Map<String, Value>) -> Value {
    let mut body = event.schema.clone();
    point(&mut body, "#/$defs/", "#/components/schemas/");
    if let Value::Object(members) = &mut body {
        members.remove("$schema");
        members.remove("$id");
        if let Some(Value::Object(others)) = members.remove("$defs") {
            schemas.extend(others);
        }
    }
    body
}

fn message(event: &EventSchema, body: Value) -> serde_json::Result<Value> {
    let (name, title) = (event.message(), event.schema.get("title"));
    Ok(json!({
        "name": name,
        "title": title,
        "summary": event.schema.get("description"),
        "contentType": CONTENT_TYPE,
        "headers": { "$ref": "#/components/schemas/event-headers" },
        "payload": body,
        "correlationId": {
            "description": "The saga: constant from the first request to the last event.",
            "location": "$message.header#/ce_correlationid",
        },
        "bindings": { "kafka": { "key": key(event.topic), "bindingVersion": "0.5.0" } },
        "examples": [{ "name": "golden", "payload": example(event.topic)? }],
    }))
}

/// What every event of an aggregate has in common, and what keeps them in order.
fn key(topic: Topic) -> Value {
    let whose = match topic {
        Topic::UserRegistered | Topic::SessionRevoked => "The user's id.",
        Topic::OrderCreated
        | Topic::OrderConfirmed
        | Topic::OrderCancelled
        | Topic::PaymentCompleted
        | Topic::PaymentFailed
        | Topic::PaymentRefunded
        | Topic::PaymentDisputed
        | Topic::PaymentDisputeClosed => "The order's id, the same for every event of a saga.",
        Topic::AuthDeadLetters
        | Topic::GatewayDeadLetters
        | Topic::NotificationDeadLetters
        | Topic::OrderDeadLetters
        | Topic::PaymentDeadLetters => "The key of what died, as it was.",
    };
    json!({ "type": "string", "format": "uuid", "description": whose })
}

fn dead_letter() -> Value {
    json!({
        "name": DEAD_LETTER_MESSAGE,
        "title": "DeadLetter",
        "summary": "A message or a side effect that a service gave up on.",
        "description": "The body and the headers are those of the original, byte by byte, whatever they are; the \
                        headers beside them tell where it came from and what it died of. It is a notice: the dead \
                        letter itself is in its service's database, and is inspected, replayed or discarded there.",
        "headers": { "$ref": "#/components/schemas/dead-letter-headers" },
        "payload": { "description": "Any bytes: those of the original." },
        "bindings": {
            "kafka": {
                "key": { "type": "string", "description": "The key of what died, as it was." },
                "bindingVersion": "0.5.0",
            },
        },
    })
}

/// The messages of a topic, by name.
fn carried(topic: Topic, events: &[EventSchema]) -> Vec<String> {
    if topic.is_dead_letter() {
        return vec![DEAD_LETTER_MESSAGE.to_owned()];
    }
    let here = events.iter().filter(|event| event.topic == topic);
    here.map(EventSchema::message).collect()
}

fn channel(topic: Topic, events: &[EventSchema]) -> Value {
    let messages: Map<String, Value> = carried(topic, events)
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                json!({ "$ref": format!("#/components/messages/{name}") }),
            )
        })
        .collect();
    let service = topic.announced_by();
    let about = if topic.is_dead_letter() {
        format!("What the {service} service gave up on after its retries.")
    } else {
        let body = events.iter().find(|event| event.topic == topic);
        let told = body.and_then(|event| event.schema.get("description")?.as_str());
        told.unwrap_or_default().to_owned()
    };
    json!({
        "address": topic.name(),
        "description": about,
        "messages": messages,
        "x-partitioner": PARTITIONER,
        "bindings": { "kafka": { "topic": topic.name(), "bindingVersion": "0.5.0" } },
    })
}

fn send(topic: Topic, events: &[EventSchema]) -> Value {
    let service = topic.announced_by();
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{topic}") },
        "summary": format!("The {service} service writes to {topic}, and nobody else."),
        "description": "From its outbox, after the state change that it tells of has been committed; more than once when in doubt.",
        "tags": [{ "name": service }],
        "messages": messages(topic, events),
    })
}

fn receive(topic: Topic, service: &str, events: &[EventSchema]) -> Value {
    json!({
        "action": "receive",
        "channel": { "$ref": format!("#/channels/{topic}") },
        "summary": format!("The {service} service consumes {topic}."),
        "description": "Each event has its effect once, however often it is delivered; what cannot be processed becomes a dead letter \
                        of this service.",
        "tags": [{ "name": service }],
        "bindings": { "kafka": {
            "groupId": { "type": "string", "enum": [service], "description": "The consumer group." },
            "bindingVersion": "0.5.0",
        } },
        "messages": messages(topic, events),
    })
}

fn messages(topic: Topic, events: &[EventSchema]) -> Vec<Value> {
    let names = carried(topic, events).into_iter();
    names
        .map(|name| json!({ "$ref": format!("#/channels/{topic}/messages/{name}") }))
        .collect()
}

/// A body as it stands on the wire: the golden file that the tests hold the code to.
fn example(topic: Topic) -> serde_json::Result<Value> {
    serde_json::from_str(match topic {
        Topic::OrderCreated => include_str!("../golden/order.created.v1.json"),
        Topic::OrderConfirmed => include_str!("../golden/order.confirmed.v1.json"),
        Topic::OrderCancelled => include_str!("../golden/order.cancelled.v1.json"),
        Topic::PaymentCompleted => include_str!("../golden/payment.completed.v1.json"),
        Topic::PaymentFailed => include_str!("../golden/payment.failed.v1.json"),
        Topic::PaymentRefunded => include_str!("../golden/payment.refunded.v1.json"),
        Topic::PaymentDisputed => include_str!("../golden/payment.disputed.v1.json"),
        Topic::PaymentDisputeClosed => include_str!("../golden/payment.dispute_closed.v1.json"),
        Topic::UserRegistered => include_str!("../golden/user.registered.v1.json"),
        Topic::SessionRevoked => include_str!("../golden/session.revoked.v1.json"),
        Topic::AuthDeadLetters
        | Topic::GatewayDeadLetters
        | Topic::NotificationDeadLetters
        | Topic::OrderDeadLetters
        | Topic::PaymentDeadLetters => "null",
    })
}
