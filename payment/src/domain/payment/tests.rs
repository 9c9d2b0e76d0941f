//! The state machine: its stories one by one, then any sequence of facts and answers at all.

use contracts::events::{CancellationReason, OrderLine, PaymentRefunded};
use contracts::{Currency, Event};

use super::*;
use crate::domain::{Answer, ChargeAnswer, VoidAnswer, is_wanted};

mod notices;
mod properties;
mod stories;
mod world;

const CUSTOMER: UserId = UserId::new(uuid(1));
const ORDER: OrderId = OrderId::new(uuid(2));
const METHOD: &str = "pm_card_visa";
const PRICE: Money = Money::new(1_999, Currency::EUR);

const fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x01936d9a_7c00_7000_8000_000000000000 + number)
}

/// The context of the step at this second.
fn at(second: u32) -> Context {
    let start: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
    Context {
        now: start + chrono::TimeDelta::seconds(i64::from(second)),
        fresh_id: uuid(100 + u128::from(second)),
        cause_id: uuid(1_000_000 + u128::from(second)),
        correlation_id: ORDER.uuid(),
    }
}

fn placed() -> OrderCreated {
    OrderCreated {
        order_id: ORDER,
        customer_id: CUSTOMER,
        items: vec![OrderLine {
            sku: "TEA".to_owned(),
            name: "A TEA".to_owned(),
            quantity: 1,
            unit_price: PRICE,
        }],
        total: PRICE,
        payment_method: METHOD.to_owned(),
    }
}

fn taken_back() -> OrderCancelled {
    OrderCancelled {
        order_id: ORDER,
        customer_id: CUSTOMER,
        total: PRICE,
        reason: CancellationReason::CustomerRequest,
        code: None,
    }
}

fn charge(answer: ChargeAnswer) -> Answer {
    Answer::Charge { answer, attempts: 1 }
}

fn approved(reference: &str) -> Answer {
    let reference = reference.to_owned();
    charge(ChargeAnswer::Approved { reference })
}

fn declined() -> Answer {
    let code = "card_declined".to_owned();
    charge(ChargeAnswer::Declined { code })
}

fn captured(reference: &str) -> Answer {
    let reference = reference.to_owned();
    Answer::Void(VoidAnswer::Captured { reference })
}

fn given_back(reference: &str) -> Answer {
    let refund_reference = reference.to_owned();
    Answer::Refunded { refund_reference }
}

const VOIDED: Answer = Answer::Void(VoidAnswer::Voided);
const CHARGE_VOIDED: Answer = Answer::Charge {
    answer: ChargeAnswer::Voided,
    attempts: 1,
};

fn charge_action() -> PaymentAction {
    PaymentAction::Charge {
        order_id: ORDER,
        amount: PRICE,
        payment_method: METHOD.to_owned(),
    }
}

fn void_action() -> PaymentAction {
    PaymentAction::Void { order_id: ORDER }
}

fn refund_action() -> PaymentAction {
    PaymentAction::Refund {
        order_id: ORDER,
        amount: PRICE,
        provider_reference: "ch_1".to_owned(),
    }
}

fn processing() -> Payment {
    moved(on_order_created(None, &placed(), &at(0))).state
}

fn cancelling() -> Payment {
    moved(on_order_cancelled(Some(processing()), &taken_back(), &at(1))).state
}

fn completed() -> Payment {
    moved(on_provider_answer(Some(processing()), &approved("ch_1"), &at(1))).state
}

fn failed() -> Payment {
    moved(on_provider_answer(Some(processing()), &declined(), &at(1))).state
}

fn voided() -> Payment {
    moved(on_order_cancelled(None, &taken_back(), &at(0))).state
}

fn refunding() -> Payment {
    moved(on_order_cancelled(Some(completed()), &taken_back(), &at(2))).state
}

fn refunded() -> Payment {
    moved(on_provider_answer(Some(refunding()), &given_back("re_1"), &at(3))).state
}

fn every() -> [Payment; 7] {
    [
        processing(),
        cancelling(),
        completed(),
        failed(),
        voided(),
        refunding(),
        refunded(),
    ]
}

fn fact_of_completion(payment: &Payment) -> Event {
    let fact = PaymentCompleted {
        payment_id: payment.id,
        order_id: ORDER,
        customer_id: CUSTOMER,
        amount: PRICE,
        provider: "simulated".to_owned(),
        provider_reference: "ch_1".to_owned(),
    };
    fact.into()
}

#[track_caller]
fn moved(step: Reaction<Payment, PaymentAction>) -> Transition<Payment, PaymentAction> {
    match step {
        Ok(Step::Next(transition)) => transition,
        other => panic!("it did not move: {other:?}"),
    }
}

#[track_caller]
fn rejected(step: Reaction<Payment, PaymentAction>) -> &'static str {
    step.unwrap_err().class
}

/// What is announced, each with its number.
fn told(step: &Transition<Payment, PaymentAction>) -> Vec<(u64, Event)> {
    let events = step.events.iter();
    events
        .map(|outgoing| (outgoing.sequence, outgoing.event.clone()))
        .collect()
}
