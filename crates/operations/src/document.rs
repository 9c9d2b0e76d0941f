//! The operators' endpoints in a service's document.

use chassis::docs::{OwnProblems, complete, name_problems};
use chassis::problem::Code;
use serde_json::{Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{OpenApi, RefOr};

use crate::Documentation;

/// What operations are called, over all services: `<service's prefix>_<name>`. One that is not listed is called as its handler.
const NAMES: &[(&str, &str)] = &[
    ("audit", "list_dead_letter_audit"),
    ("discard", "discard_dead_letter"),
    ("edit", "edit_and_replay_dead_letter"),
    ("groups", "group_dead_letters"),
    ("inspect", "get_dead_letter"),
    ("job", "get_replay"),
    ("jobs", "list_replays"),
    ("list", "list_dead_letters"),
    ("replay", "replay_dead_letter"),
    ("replay_many", "replay_dead_letters"),
    ("restore", "restore_dead_letter"),
    ("stats", "get_event_stats"),
    ("status", "get_event_status"),
    ("stop", "stop_replay"),
];

/// Operations that are done once by their key.
const KEYED: [&str; 6] = ["discard", "edit", "replay", "replay_many", "restore", "stop"];

/// Of those, the ones that a dead letter's state may forbid.
const CONFLICTING: [&str; 4] = ["discard", "edit", "replay", "restore"];

/// A service's document with the endpoints under `prefix`, for example `/orders`, with the problems of each operation, `own`
/// being the service's, and with what all services' documents have in common.
#[must_use]
pub fn document(mut openapi: OpenApi, prefix: &str, own: OwnProblems<'_>) -> OpenApi {
    name_problems(&mut openapi, own);
    let mut operations = Documentation::openapi();
    let ids = ids(&operations);
    name_problems(&mut operations, &own_problems(&ids));
    for (path, item) in &mut operations.paths.paths {
        let of_one = [&mut item.get, &mut item.post];
        for operation in of_one.into_iter().flatten() {
            adapt(operation, path, prefix);
        }
    }
    let mut document = openapi.nest(prefix, operations);
    let tag = TagBuilder::new().name("operations").description(Some(
        "For operators: dead letters, their replays, and how the events of each service stand",
    ));
    document.tags.get_or_insert_default().push(tag.build());
    complete(document)
}

fn ids(operations: &OpenApi) -> Vec<String> {
    let items = operations.paths.paths.values();
    let all = items.flat_map(|item| [&item.get, &item.post]);
    all.filter_map(|operation| operation.as_ref()?.operation_id.clone())
        .collect()
}

/// All are for admins.
fn own_problems(ids: &[String]) -> Vec<(&str, &'static [Code])> {
    let own = |id: &str| -> &'static [Code] {
        match (KEYED.contains(&id), CONFLICTING.contains(&id)) {
            (_, true) => &[Code::Forbidden, Code::Conflict, Code::IdempotencyInFlight],
            (true, false) => &[Code::Forbidden, Code::IdempotencyInFlight],
            (false, false) => &[Code::Forbidden],
        }
    };
    ids.iter().map(|id| (id.as_str(), own(id))).collect()
}

/// Names the operation and what it is about after the service.
fn adapt(operation: &mut Operation, path: &str, prefix: &str) {
    let service = prefix.trim_matches('/');
    let handler = operation.operation_id.take().unwrap_or_default();
    let name = NAMES.iter().find(|(known, _)| *known == handler);
    let name = name.map_or(handler.as_str(), |(_, name)| name);
    operation.operation_id = Some(format!("{service}_{name}"));
    let about = if path.contains("/jobs/") {
        "The bulk replay."
    } else {
        "The dead letter."
    };
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == "id"
        {
            parameter.description.get_or_insert_with(|| about.to_owned());
        }
    }
    if let Some(example) = example(&handler, service)
        && let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(RefOr::T(content)) = body.content.get_mut("application/json")
    {
        content.example = Some(example);
    }
}

/// A body about something that this service may have a dead letter of: an action, or an event that it reads or publishes.
fn example(handler: &str, service: &str) -> Option<Value> {
    const ORDER: &str = "01a1fcd0-c5fb-7408-a20e-0543f83c7e68";
    let (name, payload, reason) = match service {
        "payments" => (
            "charge",
            json!({
                "action": "charge",
                "order_id": ORDER,
                "amount": {"amount_minor": 12900, "currency": "EUR"},
                "payment_method": "pm_card_visa",
            }),
            "the customer pays with another card",
        ),
        "auth" => (
            "user.registered",
            json!({"user_id": "01a1fccf-6b1e-7d3a-9c55-2f6d0c6f9a11", "email": "ada@example.org"}),
            "the topic had been missing",
        ),
        _ => (
            "payment.completed",
            json!({
                "payment_id": "01a1fcd0-c60a-7d02-8d5e-7a1f3b0c4d21",
                "order_id": ORDER,
                "customer_id": "01a1fccf-6b1e-7d3a-9c55-2f6d0c6f9a11",
                "amount": {"amount_minor": 12900, "currency": "EUR"},
                "provider": "simulated",
                "provider_reference": "sim_ch_1",
            }),
            "the amount was written as text",
        ),
    };
    match handler {
        "edit" => Some(json!({"payload": payload, "reason": reason})),
        "replay_many" => Some(json!({
            "filter": {"name": name},
            "reason": "what failed is in order again",
            "rate_per_second": 10,
            "dry_run": true,
        })),
        _ => None,
    }
}
