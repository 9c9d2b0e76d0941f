//! Facts from the gateway's own timeline.

use books::reading::{DeadLetter, Fact, time_of};
use books::wire;
use chassis::Pool;
use chassis::problem::Problem;
use chrono::{DateTime, Utc};
use contracts::{OrderId, Topic};
use serde_json::Value;

use crate::domain::entry::Entry;
use crate::store::timeline;

/// Entries that an order has at most, on average: a saga has fewer than ten, the rest is dead letters.
const ENTRIES_PER_ORDER: usize = 12;

/// What the timeline tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) facts: Vec<Fact>,
    /// Dead letters about the same orders, as they were announced.
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Entries whose body is no fact.
    pub(super) malformed: u64,
}

/// Facts about orders that were placed after `horizon`; a limit that is reached moves the horizon.
pub(super) async fn read(pool: &Pool, horizon: &mut DateTime<Utc>, orders: usize) -> Result<Told, Problem> {
    let limit = orders.saturating_mul(ENTRIES_PER_ORDER);
    let mut connection = pool.get().await?;
    let entries = timeline::of_orders_after(&mut connection, *horizon, limit).await?;
    drop(connection);
    if entries.len() >= limit {
        // of the oldest order there may be more
        let oldest = entries.last().and_then(|entry| entry.order_id);
        *horizon = oldest.and_then(|order| time_of(order.uuid())).unwrap_or(*horizon);
    }
    let mut told = Told::default();
    for entry in entries {
        let topic: Option<Topic> = entry.kind.parse().ok();
        let (Some(topic), Some(order)) = (topic, entry.order_id) else {
            continue;
        };
        if topic.is_dead_letter() {
            told.dead_letters.push(dead_letter(order, entry));
            continue;
        }
        match fact(topic, order, entry) {
            Ok(fact) => told.facts.extend(fact),
            Err(_not_a_fact) => told.malformed = told.malformed.saturating_add(1),
        }
    }
    Ok(told)
}

fn dead_letter(order: OrderId, entry: Entry) -> DeadLetter {
    let text = |name: &str| entry.data.get(name).and_then(Value::as_str).unwrap_or_default();
    DeadLetter {
        record_id: entry.event_id.uuid(),
        work_id: text("dead_letter_id").parse().unwrap_or_default(),
        kind: text("kind").to_owned(),
        name: text("name").to_owned(),
        key: Some(order.uuid()),
        event_id: Some(entry.causation_id),
        time: entry.occurred_at,
        places: Vec::new(),
        service: entry.source,
    }
}

fn fact(topic: Topic, order: OrderId, entry: Entry) -> Result<Option<Fact>, serde_json::Error> {
    Ok(wire::event(topic, entry.data)?.map(|event| Fact {
        id: entry.event_id.uuid(),
        source: entry.source,
        key: order.uuid(),
        sequence: u64::try_from(entry.sequence).unwrap_or_default(),
        time: entry.occurred_at,
        correlation_id: entry.correlation_id,
        causation_id: entry.causation_id,
        event,
        places: Vec::new(),
    }))
}
