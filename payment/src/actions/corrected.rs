//! A charge as an operator writes it in place of a dead one: member by member, so that all that is wrong is told at once.

use chassis::json::pointer::below;
use contracts::{InvalidField, Money, OrderId};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::domain::PaymentAction;

const CHARGE: &str = "charge";
const MEMBERS: [&str; 4] = ["action", "order_id", "amount", "payment_method"];

/// Reads the charge, or says all that is wrong with it. Voids and refunds are never given up, so they are no dead letters.
pub(super) fn charge(name: &str, payload: &[u8]) -> Result<PaymentAction, Vec<InvalidField>> {
    let Ok(Value::Object(members)) = serde_json::from_slice(payload) else {
        return Err(vec![InvalidField::new("", "must be a JSON object")]);
    };
    let mut wrong = Vec::new();
    if members.get("action").and_then(Value::as_str) != Some(CHARGE) || name != CHARGE {
        wrong.push(InvalidField::new(
            "/action",
            format!("must be {CHARGE:?}, as the dead letter is"),
        ));
    }
    let unknown = members.keys().filter(|name| !MEMBERS.contains(&name.as_str()));
    wrong.extend(unknown.map(|name| InvalidField::new(below("", name), "is not known here")));
    let order_id: Option<OrderId> = member(&members, "order_id", "must be the order's id", &mut wrong);
    let amount: Option<Money> = member(
        &members,
        "amount",
        "must be an amount such as {\"amount_minor\": 1999, \"currency\": \"EUR\"}",
        &mut wrong,
    );
    let payment_method = member(&members, "payment_method", "must be a text", &mut wrong);
    match (order_id, amount, payment_method) {
        (Some(order_id), Some(amount), Some(payment_method)) if wrong.is_empty() => {
            Ok(PaymentAction::Charge {
                order_id,
                amount,
                payment_method,
            })
        }
        _ => Err(wrong),
    }
}

fn member<T: DeserializeOwned>(
    members: &Map<String, Value>,
    name: &str,
    must: &str,
    wrong: &mut Vec<InvalidField>,
) -> Option<T> {
    let Some(value) = members.get(name) else {
        wrong.push(InvalidField::new(below("", name), "is required"));
        return None;
    };
    let read = serde_json::from_value(value.clone()).ok();
    if read.is_none() {
        wrong.push(InvalidField::new(below("", name), must));
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(payload: &Value) -> Vec<String> {
        let wrong = charge(CHARGE, payload.to_string().as_bytes()).unwrap_err();
        wrong.into_iter().map(|field| field.pointer).collect()
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let good = json!({
            "action": "charge", "order_id": "01a1fcd0-c5fb-7408-a20e-0543f83c7e68",
            "amount": {"amount_minor": 12_900, "currency": "EUR"}, "payment_method": "pm_card_visa",
        });
        assert!(charge(CHARGE, good.to_string().as_bytes()).is_ok());
        assert_eq!(
            pointers(&json!({"foo": 1})),
            ["/action", "/foo", "/order_id", "/amount", "/payment_method"]
        );
        assert_eq!(pointers(&json!([])), [""]);
        for (member, value) in [
            ("action", json!("void")),
            ("order_id", json!("x")),
            ("amount", json!({"amount_minor": 12.5, "currency": "EUR"})),
            ("amount", json!({"amount_minor": 1})),
            ("payment_method", json!(7)),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert_eq!(pointers(&bad), [format!("/{member}")]);
        }
        assert!(charge("void", good.to_string().as_bytes()).is_err());
    }
}
