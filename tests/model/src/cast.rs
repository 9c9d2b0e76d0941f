//! Who plays: orders with fixed ids at a fixed time. Whatever the domain makes (states, facts, actions, answers) is
//! written down once and stands in the model's state as its number, so that a state of the model is a few bytes.

use std::sync::{PoisonError, RwLock};

use contracts::reaction::Outgoing;
use contracts::{Context, Currency, Money, OrderId, UserId};
use order::domain::{Order, Product};
use payment::domain::{Answer, Payment, PaymentAction};
use uuid::Uuid;

/// The number of something that is written down.
pub(crate) type Code = u8;

/// What is written down of one kind of thing.
#[derive(Debug)]
pub(crate) struct Roll<T>(RwLock<Vec<T>>);

impl<T> Default for Roll<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: Clone + PartialEq> Roll<T> {
    /// The number of `thing`, from 0.
    pub(crate) fn code(&self, thing: &T) -> Code {
        let find = |things: &[T]| things.iter().position(|known| known == thing);
        let known = find(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let index = known.unwrap_or_else(|| {
            let mut things = self.0.write().unwrap_or_else(PoisonError::into_inner);
            find(&things).unwrap_or_else(|| {
                things.push(thing.clone());
                things.len() - 1
            })
        });
        Code::try_from(index).expect("a saga makes a few dozen things of each kind")
    }

    /// The thing of that number.
    pub(crate) fn get(&self, code: Code) -> T {
        self.0.read().unwrap_or_else(PoisonError::into_inner)[usize::from(code)].clone()
    }
}

/// One order's part in the play.
#[derive(Debug)]
pub(crate) struct Part {
    /// The order.
    pub(crate) id: OrderId,
    /// Who places it.
    pub(crate) customer: UserId,
    /// What it costs. Each order costs something else: money that goes the wrong way shows.
    pub(crate) total: Money,
    /// States of the order.
    pub(crate) orders: Roll<Order>,
    /// States of its payment.
    pub(crate) payments: Roll<Payment>,
    /// Facts about it.
    pub(crate) facts: Roll<Outgoing>,
    /// What its payment asks of the provider.
    pub(crate) actions: Roll<PaymentAction>,
    /// What the provider answers.
    pub(crate) answers: Roll<Answer>,
}

/// How every order is paid.
pub(crate) const METHOD: &str = "pm_card_visa";

/// How it is paid once an operator has corrected the charge.
pub(crate) const OTHER_METHOD: &str = "pm_card_mastercard";

impl Part {
    /// The part of order number `index`.
    pub(crate) fn new(index: u32) -> Self {
        Self {
            id: OrderId::new(id(1, index)),
            customer: UserId::new(id(2, index)),
            total: Money::new(1_000 + 777 * i64::from(index), Currency::EUR),
            orders: Roll::default(),
            payments: Roll::default(),
            facts: Roll::default(),
            actions: Roll::default(),
            answers: Roll::default(),
        }
    }

    /// The dead letter of its charge.
    pub(crate) fn letter(&self) -> Uuid {
        let mut bytes = self.id.uuid().into_bytes();
        bytes[9] = 5;
        Uuid::from_bytes(bytes)
    }

    /// The charge by `method`.
    pub(crate) fn charge_by(&self, method: &str) -> PaymentAction {
        PaymentAction::Charge {
            order_id: self.id,
            amount: self.total,
            payment_method: method.to_owned(),
        }
    }

    /// What is ordered.
    pub(crate) fn product(&self) -> Product {
        Product {
            sku: "TEA".to_owned(),
            name: "Tea".to_owned(),
            unit_price: self.total,
            active: true,
        }
    }

    /// The context of a step of the order service. Time stands still: the deadline passes when the model says so.
    pub(crate) fn context(&self) -> Context {
        Context {
            now: "2026-11-21T10:00:00Z".parse().expect("a time"),
            fresh_id: self.id.uuid(),
            cause_id: id(3, 0),
            correlation_id: self.id.uuid(),
        }
    }

    /// The context of a step of the payment service, where something new is a payment.
    pub(crate) fn payment_context(&self) -> Context {
        let mut context = self.context();
        let mut bytes = context.fresh_id.into_bytes();
        bytes[9] = 4;
        context.fresh_id = Uuid::from_bytes(bytes);
        context
    }
}

/// A version 7 UUID of that kind and number.
fn id(kind: u8, index: u32) -> Uuid {
    let start: u128 = 0x0193_6d9a_7c00_7000_8000_0000_0000_0000;
    Uuid::from_u128(start + (u128::from(kind) << 48) + u128::from(index))
}
