//! What is in motion: it is counted, not judged.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::desk::{Desk, Outgoing, Work};
use crate::index::{Index, Record};
use crate::reading::OrderStatus;

type Lag<'a> = BTreeMap<&'a str, (u64, DateTime<Utc>)>;

/// A clock that is further ahead than this hides nothing.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// The aggregates in motion, and what the consumers have not come to yet.
pub(crate) fn survey<'a>(index: &Index<'a>) -> (HashSet<Uuid>, Lag<'a>) {
    let mut keys = HashSet::new();
    keys.extend(recent(index));
    keys.extend(on_desks(index));
    if index.reading.desks.is_empty() {
        keys.extend(open(index));
    }
    let mut lag = Lag::new();
    for record in index.records() {
        for service in waited_for(index, &record) {
            keys.extend(record.key);
            let (records, oldest) = lag.entry(service).or_insert((0, record.time));
            *records = records.saturating_add(1);
            *oldest = (*oldest).min(record.time);
        }
    }
    (keys, lag)
}

/// Whatever has just changed.
fn recent<'a>(index: &Index<'a>) -> impl Iterator<Item = Uuid> + use<'a> {
    let reading = index.reading;
    let since = reading.begun_at - index.limits.grace;
    let until = reading.ended_at + SKEW;
    let is_recent = move |time: DateTime<Utc>| time >= since && time <= until;
    let orders = reading
        .orders
        .iter()
        .filter(move |order| is_recent(order.created_at) || is_recent(order.updated_at))
        .map(|order| order.id);
    let payments = reading
        .payments
        .iter()
        .filter(move |payment| is_recent(payment.created_at) || is_recent(payment.updated_at))
        .map(|payment| payment.order_id);
    let disputes = reading
        .disputes
        .iter()
        .filter(move |dispute| is_recent(dispute.created_at) || is_recent(dispute.updated_at))
        .map(|dispute| dispute.order_id);
    let users = reading
        .users
        .iter()
        .flatten()
        .filter(move |user| is_recent(user.created_at) || is_recent(user.updated_at))
        .map(|user| user.id);
    let facts = reading
        .facts
        .iter()
        .filter(move |fact| is_recent(fact.time))
        .map(|fact| fact.key);
    let letters = reading
        .dead_letters
        .iter()
        .filter(move |letter| is_recent(letter.time))
        .filter_map(|letter| letter.key);
    orders
        .chain(payments)
        .chain(disputes)
        .chain(users)
        .chain(facts)
        .chain(letters)
}

/// Whatever a service still has to announce or to do.
fn on_desks<'a>(index: &Index<'a>) -> impl Iterator<Item = Uuid> + use<'a> {
    index.reading.desks.values().flat_map(|desk| {
        let pending = desk.work.iter().filter(|work| work.is_pending());
        let pending = pending.filter_map(Work::aggregate);
        desk.outbox.iter().filter_map(Outgoing::aggregate).chain(pending)
    })
}

/// Where nobody's desk can be seen, whatever is not final may be about to move.
fn open<'a>(index: &Index<'a>) -> impl Iterator<Item = Uuid> + use<'a> {
    let orders = index.reading.orders.iter();
    let pending = orders
        .filter(|order| order.status == OrderStatus::Pending)
        .map(|order| order.id);
    let payments = index.reading.payments.iter();
    pending.chain(
        payments
            .filter(|payment| payment.status.is_open())
            .map(|payment| payment.order_id),
    )
}

/// The consumers that have not come to this record yet.
fn waited_for<'a>(index: &Index<'a>, record: &Record<'_>) -> Vec<&'a str> {
    let desks = &index.reading.desks;
    let consumers = record.consumers().iter();
    consumers
        .filter_map(|service| desks.get_key_value(*service))
        .filter(|(service, desk)| !is_past(desk, record) && !index.has_taken(service, desk, record))
        .map(|(service, _)| service.as_str())
        .collect()
}

/// Whether the service has committed an offset behind the record.
pub(crate) fn is_past(desk: &Desk, record: &Record<'_>) -> bool {
    record.place.is_none_or(|place| {
        let committed = desk.committed.get(&(place.topic.clone(), place.partition));
        committed.is_some_and(|next| *next > place.offset)
    })
}
