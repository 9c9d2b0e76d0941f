//! What those who follow an order are shown, against what the order announced.

use std::collections::HashMap;

use contracts::Event;
use uuid::Uuid;

use crate::Kind;
use crate::index::Index;
use crate::reading::{Fact, OrderFact, OrderStatus};
use crate::report::{Findings, Mismatch};

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    let Some(rows) = &index.reading.order_facts else {
        return;
    };
    let kept: HashMap<(Uuid, u64), &OrderFact> = rows
        .iter()
        .map(|row| ((row.order_id, row.sequence), row))
        .collect();
    for fact in index.reading.facts.iter().filter(|fact| fact.source == "order") {
        // what is kept goes with its order, which is missed elsewhere
        if !index.is_still(fact.key) || !index.orders.contains_key(&fact.key) {
            continue;
        }
        match kept.get(&(fact.key, fact.sequence)) {
            None if is_owed(index, fact) => tell(fact.key, fact.sequence, "nothing", fact.topic(), found),
            Some(row) if row.event.as_ref() != Some(&fact.event) => {
                tell(fact.key, fact.sequence, "something else", fact.topic(), found);
            }
            None | Some(_) => {}
        }
    }
    for row in rows {
        let announced = index.facts_of(row.order_id).iter();
        let mut numbers = announced
            .filter(|fact| fact.source == "order")
            .map(|fact| fact.sequence);
        let judged = index.is_still(row.order_id) && index.is_told(row.order_id);
        if judged && !numbers.any(|number| number == row.sequence) {
            tell(row.order_id, row.sequence, "an event", "nothing", found);
        }
    }
}

/// Of an order that was confirmed and cancelled before facts were kept, the confirmation is not known any more.
fn is_owed(index: &Index<'_>, fact: &Fact) -> bool {
    let order = index.orders.get(&fact.key);
    let cancelled = order.is_some_and(|order| order.status == OrderStatus::Cancelled);
    !(cancelled && matches!(fact.event, Event::OrderConfirmed(_)))
}

fn tell(order: Uuid, number: u64, shown: &str, announced: &str, found: &mut Findings) {
    found.push(Mismatch::of_order(
        Kind::OrderFactDiffers,
        order,
        format!("who follows the order is shown {shown} as number {number}"),
        format!("{announced}, as it was announced"),
        "correct order_fact in the order service's database after the record on its topic",
    ));
}
