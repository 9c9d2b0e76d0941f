//! What an operator sends in place of a dead letter's payload, checked before anything changes.

use chassis::json;
use chassis::json::pointer::below;
use chassis::problem::Problem;
use contracts::{Fact, FactVisitor, InvalidField, Obsolete, Topic};
use diesel::result::Error as DieselError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::operations::OperationError;

/// The dead letter of an action that is to be corrected.
pub(crate) struct Original<'a> {
    pub(crate) letter: Uuid,
    pub(crate) name: &'a str,
    pub(crate) key: Option<&'a [u8]>,
}

/// Why a correction is not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    Invalid(Vec<InvalidField>),
    Obsolete(Obsolete),
    Database(DieselError),
}

impl From<DieselError> for Refused {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}

impl From<Refused> for OperationError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(fields) => Self::Invalid(fields),
            Refused::Obsolete(why) => Self::Obsolete(why.to_string()),
            Refused::Database(error) => Self::Database(error),
        }
    }
}

/// Reads `T`, or says what is wrong and where.
pub(crate) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Vec<InvalidField>> {
    json::read(payload).map_err(|problem| fields_of(&problem))
}

fn fields_of(problem: &Problem) -> Vec<InvalidField> {
    let errors = problem.errors().iter();
    let fields: Vec<_> = errors
        .map(|error| InvalidField::new(error.pointer.clone(), error.detail.clone()))
        .collect();
    if fields.is_empty() {
        return vec![InvalidField::new("", "must be JSON")];
    }
    fields
}

/// Whether the payload is what the topic carries, about the same aggregate as the letter. On topics that carry no fact
/// anything is taken.
pub(crate) fn check_fact(topic: &str, key: Option<&[u8]>, payload: &[u8]) -> Result<(), Vec<InvalidField>> {
    let Ok(topic) = topic.parse::<Topic>() else {
        return Ok(());
    };
    let key = crate::record::uuid_key(key);
    topic.visit(Check { key, payload }).unwrap_or(Ok(()))
}

struct Check<'a> {
    key: Option<Uuid>,
    payload: &'a [u8],
}

impl FactVisitor for Check<'_> {
    type Output = Result<(), Vec<InvalidField>>;

    fn visit<F: Fact>(self) -> Self::Output {
        let fact: F = read(self.payload)?;
        match self.key {
            Some(key) if key != fact.key() => Err(vec![InvalidField::new(
                format!("/{}", F::KEY),
                format!("must stay {key}, which the dead letter is about"),
            )]),
            Some(_) | None => Ok(()),
        }
    }
}

/// Nobody's e-mail address goes into the audit, which is kept for good.
const PERSONAL: [&str; 2] = ["email", "display_name"];
const MASKED: &str = "[personal]";

/// What differs between two payloads, for the audit: each with its pointer, before and after. What is no JSON is told by
/// its length.
pub(crate) fn difference(before: Option<&[u8]>, after: &[u8]) -> Value {
    let before = before.unwrap_or_default();
    let of = |bytes: &[u8]| {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_no_json| json!(format!("{} bytes, no JSON", bytes.len())))
    };
    let mut changes = Vec::new();
    compare("", "", Some(&of(before)), Some(&of(after)), &mut changes);
    Value::Array(changes)
}

fn compare(
    pointer: &str,
    name: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<Value>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                compare(&below(pointer, name), name, old.get(name), new.get(name), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                compare(
                    &format!("{pointer}/{index}"),
                    name,
                    old.get(index),
                    new.get(index),
                    changes,
                );
            }
        }
        _ => {
            let shown = |value: Option<&Value>| match value {
                Some(_) if PERSONAL.contains(&name) => json!(MASKED),
                value => json!(value),
            };
            changes.push(json!({"pointer": pointer, "before": shown(before), "after": shown(after)}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_with_its_place_and_nobodys_address() {
        let before =
            json!({"a": 1, "b": [1, 2], "c/d": {"e": null}, "email": "ada@quadrille.example", "same": 0});
        let after = json!({"a": 2, "b": [1], "c/d": {"e": "f"}, "email": "eve@quadrille.example", "same": 0, "new": {}});
        let told = difference(Some(before.to_string().as_bytes()), after.to_string().as_bytes());
        assert_eq!(
            told,
            json!([
                {"pointer": "/a", "before": 1, "after": 2},
                {"pointer": "/b/1", "before": 2, "after": null},
                {"pointer": "/c~1d/e", "before": null, "after": "f"},
                {"pointer": "/email", "before": "[personal]", "after": "[personal]"},
                {"pointer": "/new", "before": null, "after": {}},
            ])
        );
        assert_eq!(difference(Some(b"{}"), b"{}"), json!([]));
        let of_bytes = difference(Some(b"\xff\x00"), b"1");
        assert_eq!(
            of_bytes,
            json!([{"pointer": "", "before": "2 bytes, no JSON", "after": 1}])
        );
    }

    #[test]
    fn a_fact_must_be_what_its_topic_carries_about_the_same_order() {
        let key = "01a1fcd0-c5fb-7408-a20e-0543f83c7e68";
        let good = json!({
            "order_id": key, "customer_id": key, "payment_id": key, "failure_code": "card_declined",
            "amount": {"amount_minor": 1999, "currency": "EUR"},
        });
        let check = |body: &Value| {
            check_fact(
                "payment.failed",
                Some(key.as_bytes()),
                body.to_string().as_bytes(),
            )
        };
        assert_eq!(check(&good), Ok(()));
        for (pointer, value) in [("/amount/amount_minor", json!("2")), ("/order_id", json!("x"))] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(check(&bad).unwrap_err()[0].pointer, pointer, "{bad}");
        }
        let mut other = good.clone();
        other["order_id"] = json!("01a1fcd0-c5fb-7408-a20e-0543f83c7e69");
        assert_eq!(check(&other).unwrap_err()[0].pointer, "/order_id");
        assert!(check(&json!({"foo": 1})).is_err());
        assert_eq!(check_fact("order.failed.dlq", None, b"{}"), Ok(()));
    }
}
