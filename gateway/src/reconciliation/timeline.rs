//! Facts from the gateway's own timeline.

use books::reading::{Fact, time_of};
use books::wire;
use chassis::Pool;
use chassis::problem::Problem;
use chrono::{DateTime, Utc};
use contracts::Topic;

use crate::domain::entry::Entry;
use crate::store::timeline;

/// Entries that an order has at most, on average: a saga has fewer than ten, the rest is dead letters.
const ENTRIES_PER_ORDER: usize = 12;

/// What the timeline tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) facts: Vec<Fact>,
    /// Entries whose body is no fact.
    pub(super) malformed: usize,
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
        match fact(entry) {
            Ok(fact) => told.facts.extend(fact),
            Err(_not_a_fact) => told.malformed = told.malformed.saturating_add(1),
        }
    }
    Ok(told)
}

/// The fact that an entry tells of; dead letters are none.
fn fact(entry: Entry) -> Result<Option<Fact>, serde_json::Error> {
    let topic: Option<Topic> = entry.kind.parse().ok();
    let (Some(topic), Some(order)) = (topic, entry.order_id) else {
        return Ok(None);
    };
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
