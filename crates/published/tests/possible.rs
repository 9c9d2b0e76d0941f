//! The examples in what is published are states that can be: no pending order carries a cancellation.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use published::documents;
use serde_json::Value;

/// A law of examples: its name, and whether an object keeps it; nothing where it says nothing of the object.
type Law = (&'static str, fn(&Value) -> Option<bool>);

const LAWS: &[Law] = &[
    (
        "a cancelled order has a cancellation, and no other has one",
        |order| {
            let cancellation = order.get("cancellation")?;
            Some(cancellation.is_null() == (order["status"] != "cancelled"))
        },
    ),
    (
        "a cancellation has a code when the payment failed, and only then",
        |cancellation| {
            let (reason, code) = (cancellation.get("reason")?.as_str()?, cancellation.get("code")?);
            let known = ["payment_failed", "customer_request", "payment_timeout"].contains(&reason);
            known.then(|| code.is_null() == (reason != "payment_failed"))
        },
    ),
    (
        "what declined takes nothing that could be given back",
        |cancellation| {
            let refunded = cancellation.get("refunded")?;
            Some(cancellation["code"].is_null() || *refunded == false)
        },
    ),
    ("a total is the sum of its items", |order| {
        let (total, items) = (
            &order.get("total")?["amount_minor"],
            order.get("items")?.as_array()?,
        );
        let cost =
            |item: &Value| Some(item["quantity"].as_i64()? * item["unit_price"]["amount_minor"].as_i64()?);
        Some(items.iter().map(cost).sum::<Option<i64>>() == total.as_i64())
    }),
    (
        "a failed payment has a failure code, and no other has one",
        |payment| {
            let code = payment.get("failure_code")?;
            let status = payment.get("status")?;
            Some(code.is_null() == (status != "failed"))
        },
    ),
    ("a payment has the references of what was done", |payment| {
        let (taken, back) = (
            payment.get("provider_reference")?,
            payment.get("refund_reference")?,
        );
        let status = payment["status"].as_str()?;
        let was_taken = ["completed", "refunding", "refunded"].contains(&status);
        Some(taken.is_null() != was_taken && back.is_null() == (status != "refunded"))
    }),
    ("what has an answer is not asked again", |asked| {
        let (next, status) = (asked.get("next_attempt_at")?, asked.get("status")?);
        Some(next.is_null() || status == "processing" || status == "waiting")
    }),
    (
        "what is well has no reasons, and what is not has some",
        |health| {
            let reasons = health.get("reasons")?.as_array()?;
            Some(reasons.is_empty() == (health["status"] == "ok"))
        },
    ),
    (
        "a notification is about an order unless it is about the account",
        |notification| {
            let (order, title) = (notification.get("order_id")?, notification.get("title")?);
            let of_account = ["welcome", "webhook_disabled"].contains(&notification["kind"].as_str()?);
            title.is_string().then(|| order.is_null() == of_account)
        },
    ),
    (
        "a dead letter says what took its place, or its purpose, when that is what became of it",
        |letter| {
            let (place, purpose) = (letter.get("superseded_by")?, letter.get("settled_reason")?);
            let state = &letter["state"];
            Some(place.is_null() == (state != "superseded") && purpose.is_null() == (state != "obsolete"))
        },
    ),
    ("a payload is what its base64 says", |letter| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(letter.get("payload_base64")?.as_str()?);
        let payload: Value = serde_json::from_slice(&bytes.ok()?).ok()?;
        Some(payload == letter["payload"])
    }),
    ("a path leads to what it stands by, at its service", |found| {
        let (path, id) = (found.get("path")?.as_str()?, found.get("id")?.as_str()?);
        let service = found.get("service")?.as_str()?;
        Some(path.starts_with(&format!("/{service}/")) && path.ends_with(&format!("/{id}")))
    }),
    ("a replay has an end unless it runs", |job| {
        let finished = job.get("finished_at")?;
        Some(finished.is_null() == (job["state"] == "running"))
    }),
    ("a webhook is disabled for a reason", |webhook| {
        let reason = webhook.get("disabled_reason")?;
        Some(reason.is_null() == (webhook["enabled"] == true))
    }),
    ("a delivery counts its attempts", |delivery| {
        let attempts = delivery.get("attempts")?.as_array()?;
        Some(delivery["attempt_count"].as_u64()? >= u64::try_from(attempts.len()).ok()?)
    }),
    ("an attempt that failed says why", |attempt| {
        let (number, status) = (attempt.get("number")?, attempt.get("status")?);
        let success = status.as_u64().is_some_and(|status| (200..300).contains(&status));
        number.is_u64().then(|| attempt["error"].is_null() == success)
    }),
    ("nothing changes before it is made", |thing| {
        let at = |member: &str| DateTime::parse_from_rfc3339(thing.get(member)?.as_str()?).ok();
        Some(at("created_at")? <= at("updated_at")?)
    }),
    ("a problem has its own status and title", |problem| {
        let code = problem
            .get("type")?
            .as_str()?
            .strip_prefix("https://quadrille.dev/problems/")?;
        let code = chassis::problem::Code::ALL
            .iter()
            .find(|known| known.as_str() == code)?;
        Some(problem["status"] == code.status().as_u16() && problem["title"] == code.title())
    }),
];

/// Every example of a document, with the place where it is.
fn examples(value: &Value, place: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("{place}/{name}");
                match (name.as_str(), member) {
                    // a member of this name of an object's own
                    _ if place.ends_with("/properties/example")
                        || place.ends_with("/properties/examples") =>
                    {
                        examples(member, &place, found);
                    }
                    ("example", example) => found.push((place, example.clone())),
                    ("examples", Value::Object(named)) => {
                        let values = named
                            .values()
                            .map(|example| (place.clone(), example["value"].clone()));
                        found.extend(values);
                    }
                    ("examples", Value::Array(all)) => {
                        let payloads = all
                            .iter()
                            .map(|example| example.get("payload").unwrap_or(example));
                        found.extend(payloads.map(|payload| (place.clone(), payload.clone())));
                    }
                    _ => examples(member, &place, found),
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                examples(item, &format!("{place}/{number}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An example's objects, itself and those within it.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.push(value);
            members.values().for_each(|member| objects(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| objects(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn published_examples() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for document in documents().unwrap() {
        if document.path.starts_with("docs/contracts/") {
            let body: Value = serde_json::from_str(&document.text).unwrap();
            examples(&body, &document.path, &mut found);
        }
    }
    found
}

#[test]
fn every_example_is_a_state_that_can_be() {
    let mut kept = BTreeMap::<&str, usize>::new();
    let mut broken = BTreeSet::new();
    for (place, example) in published_examples() {
        let mut all = Vec::new();
        objects(&example, &mut all);
        for object in all {
            for (law, judge) in LAWS {
                match judge(object) {
                    Some(true) => *kept.entry(law).or_default() += 1,
                    Some(false) => drop(broken.insert(format!("{place}: {law}: {object}"))),
                    None => {}
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    let idle: Vec<_> = LAWS.iter().filter(|(law, _)| !kept.contains_key(law)).collect();
    assert!(idle.is_empty(), "no example shows: {idle:?}");
}

/// Without one, tools compose an example of each member's: a state that may be none.
#[test]
fn whatever_has_a_state_has_an_example() {
    let mut bare = Vec::new();
    for document in documents().unwrap() {
        if !document.path.starts_with("docs/contracts/openapi/") {
            continue;
        }
        let body: Value = serde_json::from_str(&document.text).unwrap();
        for (name, schema) in body["components"]["schemas"].as_object().into_iter().flatten() {
            let own = schema.get("properties");
            let parts = schema["allOf"].as_array().into_iter().flatten();
            let members = parts.flat_map(|part| {
                let target = part["$ref"].as_str().map(|target| target.trim_start_matches('#'));
                target
                    .map_or(part, |target| body.pointer(target).unwrap())
                    .get("properties")
            });
            let has_state = own.into_iter().chain(members).any(|members| {
                let of_object = |name: &str| members.get(name).is_some();
                of_object("status") || of_object("state")
            });
            if has_state && schema.get("example").is_none() {
                bare.push(format!("{}: {name}", document.path));
            }
        }
    }
    assert!(bare.is_empty(), "without an example:\n  {}", bare.join("\n  "));
}

#[test]
fn laws_find_what_cannot_be() {
    for (law, impossible) in [
        (0, r#"{"status": "pending", "cancellation": {}}"#),
        (1, r#"{"reason": "customer_request", "code": "card_declined"}"#),
        (
            3,
            r#"{"total": {"amount_minor": 3}, "items": [{"quantity": 2, "unit_price": {"amount_minor": 2}}]}"#,
        ),
        (4, r#"{"status": "processing", "failure_code": "card_declined"}"#),
        (
            5,
            r#"{"status": "processing", "provider_reference": "x", "refund_reference": null}"#,
        ),
        (7, r#"{"status": "ok", "reasons": ["it does not answer"]}"#),
        (
            16,
            r#"{"created_at": "2026-01-01T12:00:01Z", "updated_at": "2026-01-01T12:00:00.9Z"}"#,
        ),
    ] {
        let (name, judge) = LAWS[law];
        assert_eq!(
            judge(&serde_json::from_str(impossible).unwrap()),
            Some(false),
            "{name}"
        );
    }
}
