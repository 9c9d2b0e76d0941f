//! Each order against what was announced about it.

use contracts::events::{OrderCancelled, OrderConfirmed, OrderCreated};
use contracts::{Event, Topic};
use uuid::Uuid;

use crate::Kind;
use crate::facts::{ROW_IS_RIGHT, expect_one, unfounded};
use crate::index::Index;
use crate::reading::{Amount, Line, Order, OrderStatus};
use crate::report::{Findings, Mismatch};

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    for order in &index.reading.orders {
        if !index.is_still(order.id) {
            continue;
        }
        lines(order, found);
        if index.is_told(order.id) {
            announced(index, order, found);
        }
    }
    missing(index, found);
}

/// Orders that somebody speaks of.
fn missing(index: &Index<'_>, found: &mut Findings) {
    let absent = |key: &Uuid| index.is_still(*key) && !index.orders.contains_key(key);
    for key in index.reading.accepted.iter().filter(|key| absent(key)) {
        found.push(Mismatch::of_order(
            Kind::OrderMissing,
            *key,
            "it was accepted (202), and the order service does not have it",
            "the order",
            "restore its row from a backup of the order database; its lines are in order.created, where that was announced",
        ));
    }
    let told = |key: &Uuid| index.is_told(*key) && !index.reading.accepted.contains(key);
    for (key, facts) in &index.facts {
        let of_order = facts
            .iter()
            .find(|fact| fact.source == "order" && fact.is_of_saga());
        let Some(fact) = of_order.filter(|_| absent(key) && told(key)) else {
            continue;
        };
        found.push(Mismatch::of_order(
            Kind::OrderMissing,
            *key,
            format!(
                "{} was announced, and the order service does not have the order",
                fact.topic()
            ),
            "the order",
            format!(
                "restore its row from a backup of the order database, or from event {}",
                fact.id
            ),
        ));
    }
}

fn lines(order: &Order, found: &mut Findings) {
    let currency = &order.total.currency;
    let sum = order.lines.iter().try_fold(0_i64, |sum, line| {
        let price = Some(&line.unit_price).filter(|price| price.currency == *currency)?;
        sum.checked_add(price.amount_minor.checked_mul(line.quantity)?)
    });
    if sum != Some(order.total.amount_minor) {
        let adds_up = sum.map_or_else(
            || "no amount of the total's currency".to_owned(),
            |sum| Amount::new(sum, currency).to_string(),
        );
        found.push(Mismatch::of_order(
            Kind::OrderLinesDiffer,
            order.id,
            format!("{} lines that add up to {adds_up}", order.lines.len()),
            format!("lines that add up to the total of {}", order.total),
            "write the lines and the total of order.created back into order.orders",
        ));
    }
}

fn announced(index: &Index<'_>, order: &Order, found: &mut Findings) {
    if let Some(fact) = expect_one(index, order.id, Topic::OrderCreated, "the order exists", found)
        && let Event::OrderCreated(said) = &fact.event
    {
        for (is, should) in created(order, said) {
            found.push(Mismatch::of_fact(
                Kind::FactDiffers,
                fact,
                is,
                should,
                ROW_IS_RIGHT,
            ));
        }
    }
    match order.status {
        OrderStatus::Pending => {
            unfounded(index, order.id, Topic::OrderConfirmed, "pending", found);
            unfounded(index, order.id, Topic::OrderCancelled, "pending", found);
        }
        OrderStatus::Confirmed => {
            unfounded(index, order.id, Topic::OrderCancelled, "confirmed", found);
            if let Some(fact) = expect_one(
                index,
                order.id,
                Topic::OrderConfirmed,
                "the order is confirmed",
                found,
            ) && let Event::OrderConfirmed(said) = &fact.event
            {
                for (is, should) in confirmed(order, said) {
                    found.push(Mismatch::of_fact(
                        Kind::FactDiffers,
                        fact,
                        is,
                        should,
                        ROW_IS_RIGHT,
                    ));
                }
            }
        }
        OrderStatus::Cancelled => {
            if let Some(fact) = expect_one(
                index,
                order.id,
                Topic::OrderCancelled,
                "the order is cancelled",
                found,
            ) && let Event::OrderCancelled(said) = &fact.event
            {
                for (is, should) in cancelled(order, said) {
                    found.push(Mismatch::of_fact(
                        Kind::FactDiffers,
                        fact,
                        is,
                        should,
                        ROW_IS_RIGHT,
                    ));
                }
            }
        }
    }
}

type Difference = (String, String);

/// What the row says, and what the fact says.
pub(crate) fn differs<T: PartialEq + std::fmt::Display>(what: &str, row: &T, fact: &T) -> Option<Difference> {
    (row != fact).then(|| {
        (
            format!("the row has {what} {row}"),
            format!("{what} {fact}, as announced"),
        )
    })
}

fn created(order: &Order, said: &OrderCreated) -> Vec<Difference> {
    let lines: Vec<Line> = said
        .items
        .iter()
        .map(|item| Line {
            sku: item.sku.clone(),
            quantity: i64::from(item.quantity),
            unit_price: item.unit_price.into(),
        })
        .collect();
    let listed = |lines: &[Line]| {
        let line = |line: &Line| format!("{} x {} at {}", line.quantity, line.sku, line.unit_price);
        lines.iter().map(line).collect::<Vec<_>>().join(", ")
    };
    [
        differs("total", &order.total, &said.total.into()),
        differs("customer", &order.customer_id, &said.customer_id.uuid()),
        differs("payment method", &order.payment_method, &said.payment_method),
        differs("lines", &listed(&order.lines), &listed(&lines)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn confirmed(order: &Order, said: &OrderConfirmed) -> Vec<Difference> {
    let payment = order.payment_id.unwrap_or(said.payment_id.uuid());
    [
        differs("total", &order.total, &said.total.into()),
        differs("customer", &order.customer_id, &said.customer_id.uuid()),
        differs("payment", &payment, &said.payment_id.uuid()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn cancelled(order: &Order, said: &OrderCancelled) -> Vec<Difference> {
    let reason = |reason: Option<&str>, code: Option<&str>| {
        let code = code.map(|code| format!(": {code}")).unwrap_or_default();
        format!("{}{code}", reason.unwrap_or("none"))
    };
    let row = reason(order.reason.as_deref(), order.code.as_deref());
    [
        differs("total", &order.total, &said.total.into()),
        differs("customer", &order.customer_id, &said.customer_id.uuid()),
        differs(
            "reason",
            &row,
            &reason(Some(said.reason.as_str()), said.code.as_deref()),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
