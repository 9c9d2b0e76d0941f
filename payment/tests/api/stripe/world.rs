//! What the stand-in knows: intents and refunds, and how they move.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An intent.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) order: String,
    pub(crate) amount: i64,
    method: String,
    reason: Option<String>,
    error: Option<Value>,
}

/// A refund.
#[derive(Debug, Clone)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) status: &'static str,
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) intents: Vec<Intent>,
    pub(crate) refunds: Vec<Refund>,
    /// Times that money was taken.
    pub(crate) taken: usize,
    /// The status that the next refunds have, instead of `succeeded`.
    pub(crate) next_refunds: Vec<&'static str>,
}

type Answer = (u16, Value);

impl World {
    pub(crate) fn act(&mut self, call: &str, id: &str, form: &BTreeMap<String, String>) -> Answer {
        match call {
            "create" => self.create(form),
            "refund" => self.refund(form),
            "refunds" => {
                let data = self.refunds.iter().rev().filter(|refund| refund.intent == id);
                let data: Vec<_> = data.map(Refund::json).collect();
                (200, json!({"object": "list", "data": data}))
            }
            _ => {
                let Some(intent) = self.intents.iter_mut().find(|intent| intent.id == id) else {
                    return error(404, "resource_missing", "intent");
                };
                match call {
                    "confirm" => intent.confirm(&mut self.taken),
                    "cancel" => intent.cancel(&form["cancellation_reason"]),
                    _ => (200, intent.json()),
                }
            }
        }
    }

    pub(crate) fn intent_of(&self, order: &str) -> Option<Intent> {
        self.intents.iter().find(|intent| intent.order == order).cloned()
    }

    /// The intent moves on by itself.
    pub(crate) fn set(&mut self, order: &str, status: &'static str) {
        let intent = self.intents.iter_mut().find(|intent| intent.order == order);
        intent.unwrap().status = status;
    }

    fn create(&mut self, form: &BTreeMap<String, String>) -> Answer {
        let (method, amount): (_, i64) = (form["payment_method"].clone(), form["amount"].parse().unwrap());
        if !method.starts_with("pm_card_") || method == "pm_card_declined" {
            return error(400, "resource_missing", "payment_method");
        }
        if amount < 50 {
            return error(400, "amount_too_small", "amount");
        }
        let intent = Intent {
            id: format!("pi_{}", self.intents.len() + 1),
            status: "requires_confirmation",
            order: form["metadata[order_id]"].clone(),
            amount,
            method,
            reason: None,
            error: None,
        };
        let answer = (200, intent.json());
        self.intents.push(intent);
        answer
    }

    fn refund(&mut self, form: &BTreeMap<String, String>) -> Answer {
        let intent = self
            .intents
            .iter()
            .find(|intent| intent.id == form["payment_intent"]);
        let Some(intent) = intent.filter(|intent| intent.status == "succeeded") else {
            return error(400, "payment_intent_unexpected_state", "payment_intent");
        };
        let back = self
            .refunds
            .iter()
            .filter(|refund| refund.intent == intent.id && matches!(refund.status, "succeeded" | "pending"));
        let left = intent.amount - back.map(|refund| refund.amount).sum::<i64>();
        if left == 0 {
            return error(400, "charge_already_refunded", "payment_intent");
        }
        let status = if self.next_refunds.is_empty() {
            "succeeded"
        } else {
            self.next_refunds.remove(0)
        };
        let refund = Refund {
            id: format!("re_{}", self.refunds.len() + 1),
            intent: intent.id.clone(),
            amount: left,
            status,
        };
        let answer = (200, refund.json());
        self.refunds.push(refund);
        answer
    }
}

impl Intent {
    fn confirm(&mut self, taken: &mut usize) -> Answer {
        if self.status != "requires_confirmation" {
            return error(400, "payment_intent_unexpected_state", "intent");
        }
        let (code, decline_code) = match self.method.as_str() {
            "pm_card_chargeDeclined" => ("card_declined", "generic_decline"),
            "pm_card_chargeDeclinedStolenCard" => ("card_declined", "stolen_card"),
            "pm_card_chargeDeclinedInsufficientFunds" => ("card_declined", "insufficient_funds"),
            "pm_card_chargeDeclinedExpiredCard" => ("expired_card", ""),
            "pm_card_authenticationRequired" => ("authentication_required", ""),
            "pm_card_processing" => return self.becomes("processing"),
            "pm_card_waiting" => return self.becomes("requires_action"),
            _ => {
                *taken += 1;
                return self.becomes("succeeded");
            }
        };
        self.status = "requires_payment_method";
        let mut refused = json!({"type": "card_error", "code": code, "decline_code": decline_code});
        self.error = Some(refused.clone());
        refused["payment_intent"] = self.json();
        (402, json!({ "error": refused }))
    }

    fn becomes(&mut self, status: &'static str) -> Answer {
        self.status = status;
        (200, self.json())
    }

    fn cancel(&mut self, reason: &str) -> Answer {
        if matches!(self.status, "succeeded" | "canceled" | "processing") {
            return error(400, "payment_intent_unexpected_state", "intent");
        }
        self.reason = Some(reason.to_owned());
        self.becomes("canceled")
    }

    pub(crate) fn json(&self) -> Value {
        let received = if self.status == "succeeded" {
            self.amount
        } else {
            0
        };
        json!({
            "id": self.id, "object": "payment_intent", "status": self.status, "amount": self.amount,
            "amount_received": received, "cancellation_reason": self.reason, "last_payment_error": self.error,
            "metadata": {"order_id": self.order},
        })
    }
}

impl Refund {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id, "object": "refund", "amount": self.amount, "status": self.status,
            "payment_intent": self.intent,
        })
    }
}

fn error(status: u16, code: &str, param: &str) -> Answer {
    let error = json!({"type": "invalid_request_error", "code": code, "param": param, "message": "no"});
    (status, json!({ "error": error }))
}
