//! Each record against everybody who consumes it, and what consumers have against the records.

use std::collections::{HashMap, HashSet};

use contracts::Event;
use uuid::Uuid;

use crate::Kind;
use crate::desk::{Desk, consumers};
use crate::flight::is_past;
use crate::index::{Index, Record};
use crate::reading::{Fact, FactsFrom, Notification, TimelineRow, time_of};
use crate::report::{Findings, Mismatch};

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    // what the timeline itself tells cannot be held against it
    if index.reading.facts_from == FactsFrom::Timeline {
        return;
    }
    for record in index.records() {
        if record.key.is_none_or(|key| index.is_still(key)) && index.is_settled(record.time) {
            consumed(index, &record, found);
        }
    }
    let mut ids: HashSet<Uuid> = index.fact_by_id.keys().copied().collect();
    ids.extend(index.reading.dead_letters.iter().map(|letter| letter.record_id));
    ids.extend(index.reading.unreadable.iter().filter_map(|record| record.id));
    for (service, desk) in &index.reading.desks {
        vanished(index, service, desk, &ids, found);
    }
    notifications(index, found);
    timeline(index, &ids, found);
}

fn consumed(index: &Index<'_>, record: &Record<'_>, found: &mut Findings) {
    for service in record.consumers() {
        let Some(desk) = index.desk(service) else { continue };
        let forgotten = desk.remembers_from.is_some_and(|from| record.time < from);
        if forgotten || index.has_taken(service, desk, record) || !is_past(desk, record) {
            continue;
        }
        let place = record.place.map_or_else(String::new, |place| {
            format!("{}:{}@{}", place.topic, place.partition, place.offset)
        });
        let id = record
            .id
            .map_or_else(|| "without an id".to_owned(), |id| id.to_string());
        let mut mismatch = Mismatch::of(
            Kind::EventNotConsumed,
            format!("{} {id} at {service}", record.topic),
            format!("{service} has committed an offset behind {place}, and has taken no charge of it"),
            "applied, pending or dead",
            again(service, record),
        );
        mismatch.order_id = record.key.filter(|key| index.orders.contains_key(key));
        found.push(mismatch);
    }
}

/// How to let a service consume a record again: it passes over whatever it has taken charge of.
fn again(service: &str, record: &Record<'_>) -> String {
    let forget = record.id.map_or_else(String::new, |id| {
        format!("delete from processed_event where event_id = '{id}' in its database, ")
    });
    record.place.map_or_else(String::new, |place| {
        format!(
            "stop {service}, {forget}kafka-consumer-groups.sh --group {service} --topic {}:{} --reset-offsets --to-offset {} \
             --execute, start {service}",
            place.topic, place.partition, place.offset
        )
    })
}

/// Ids that were taken charge of, and are on no topic.
fn vanished(index: &Index<'_>, service: &str, desk: &Desk, ids: &HashSet<Uuid>, found: &mut Findings) {
    for id in desk.processed.difference(ids) {
        let time = time_of(*id);
        if !index.after_horizon(time) || !time.is_some_and(|time| index.is_settled(time)) {
            continue;
        }
        found.push(Mismatch::of(
            Kind::EventVanished,
            format!("event {id} at {service}"),
            format!("{service} has taken charge of it, and no topic has it"),
            "a record on a topic",
            "the broker has lost what it had acknowledged: compare the other consumers' rows, and announce again what they \
             do not have",
        ));
    }
}

/// Whether the effect of a fact at a consumer is to be there.
fn is_owed(index: &Index<'_>, service: &str, fact: &Fact) -> bool {
    let Some(desk) = index.desk(service) else {
        return true;
    };
    let taken = desk.processed.contains(&fact.id) || desk.remembers_from.is_some_and(|from| fact.time < from);
    taken && !index.is_excused_of(service, fact.id)
}

fn notifications(index: &Index<'_>, found: &mut Findings) {
    let Some(rows) = &index.reading.notifications else {
        return;
    };
    let by_id: HashMap<Uuid, &Notification> = rows.iter().map(|row| (row.id, row)).collect();
    let told = index
        .reading
        .facts
        .iter()
        .filter_map(|fact| Some((fact, telling(&fact.event)?)));
    for (fact, (kind, user)) in told {
        if !index.is_still(fact.key) || found.is_lost("notification", fact.id) {
            continue;
        }
        let order = fact.is_of_saga().then_some(fact.key);
        match by_id.get(&fact.id) {
            None if is_owed(index, "notification", fact) => found.push(Mismatch::of_fact(
                Kind::NotificationMissing,
                fact,
                "notification has taken charge of it, and the user was told nothing",
                format!("one notification {kind} to user {user}"),
                again("notification", &record_of(fact)),
            )),
            Some(row) if row.user_id != user || row.kind != kind || row.order_id != order => {
                found.push(Mismatch::of_fact(
                    Kind::NotificationDiffers,
                    fact,
                    format!("{} to user {}", row.kind, row.user_id),
                    format!("{kind} to user {user}, about the same order"),
                    "correct the notification after its event",
                ));
            }
            None | Some(_) => {}
        }
    }
    unfounded_notifications(index, rows, found);
}

/// What the notification service tells of its own: of no fact.
const OWN_NEWS: &str = "webhook_disabled";

/// Notifications of no fact; those that say once more what another one says are told apart.
fn unfounded_notifications(index: &Index<'_>, rows: &[Notification], found: &mut Findings) {
    let is_known = |row: &&Notification| {
        let fact = index.fact_by_id.get(&row.id);
        fact.is_some_and(|fact| consumers(fact.event.topic()).contains(&"notification"))
    };
    let what = |row: &Notification| (row.user_id, row.order_id, row.kind.clone());
    let told: HashSet<_> = rows.iter().filter(is_known).map(what).collect();
    for row in rows.iter().filter(|row| !is_known(row) && row.kind != OWN_NEWS) {
        let judged = row.order_id.is_none_or(|key| index.is_still(key))
            && index.is_settled(row.created_at)
            && index.after_horizon(Some(row.created_at));
        if judged {
            let (kind, should) = if told.contains(&what(row)) {
                (Kind::NotificationRepeated, "one notification of it")
            } else {
                (Kind::NotificationWithoutFact, "an event of this id")
            };
            let mut mismatch = Mismatch::of(
                kind,
                format!("notification {}", row.id),
                format!("{} to user {}", row.kind, row.user_id),
                should,
                "delete the notification when its event was never announced",
            );
            mismatch.order_id = row.order_id;
            found.push(mismatch);
        }
    }
}

/// What kind of notification a fact makes, and for whom.
fn telling(event: &Event) -> Option<(&'static str, Uuid)> {
    Some(match event {
        Event::OrderCreated(said) => ("order_created", said.customer_id.uuid()),
        Event::OrderConfirmed(said) => ("order_confirmed", said.customer_id.uuid()),
        Event::OrderCancelled(said) => ("order_cancelled", said.customer_id.uuid()),
        Event::PaymentCompleted(said) => ("payment_completed", said.customer_id.uuid()),
        Event::PaymentFailed(said) => ("payment_failed", said.customer_id.uuid()),
        Event::PaymentRefunded(said) => ("payment_refunded", said.customer_id.uuid()),
        Event::UserRegistered(said) => ("welcome", said.user_id.uuid()),
        // a dispute is between the merchant and the customer's bank
        Event::PaymentDisputed(_) | Event::PaymentDisputeClosed(_) | Event::SessionRevoked(_) => return None,
    })
}

fn record_of(fact: &Fact) -> Record<'_> {
    Record {
        topic: fact.event.topic(),
        id: Some(fact.id),
        key: Some(fact.key),
        time: fact.time,
        place: fact.places.first(),
    }
}

fn timeline(index: &Index<'_>, ids: &HashSet<Uuid>, found: &mut Findings) {
    let Some(rows) = &index.reading.timeline else {
        return;
    };
    let by_id: HashMap<Uuid, &TimelineRow> = rows.iter().map(|row| (row.event_id, row)).collect();
    for fact in &index.reading.facts {
        // an ended login is kept elsewhere, and only for as long as a token of it could live
        let elsewhere = matches!(fact.event, Event::SessionRevoked(_));
        if elsewhere || !index.is_still(fact.key) || found.is_lost("gateway", fact.id) {
            continue;
        }
        match by_id.get(&fact.id) {
            None if is_owed(index, "gateway", fact) => found.push(Mismatch::of_fact(
                Kind::TimelineMissing,
                fact,
                "the gateway has taken charge of it, and the timeline does not have it",
                "one entry",
                again("gateway", &record_of(fact)),
            )),
            Some(row) if !tells(row, fact) => found.push(Mismatch::of_fact(
                Kind::TimelineDiffers,
                fact,
                "its entry says something else",
                "what the event says",
                format!(
                    "delete from timeline_entry where event_id = '{}' in the gateway's database, and {}",
                    fact.id,
                    again("gateway", &record_of(fact))
                ),
            )),
            None | Some(_) => {}
        }
    }
    letters(index, &by_id, found);
    for row in rows.iter().filter(|row| !ids.contains(&row.event_id)) {
        let judged = row.order_id.is_none_or(|key| index.is_still(key))
            && index.is_settled(row.recorded_at)
            && index.after_horizon(time_of(row.event_id));
        if judged {
            let mut mismatch = Mismatch::of(
                Kind::TimelineWithoutFact,
                format!("{} {}", row.topic, row.event_id),
                "an entry of the timeline",
                "a record on its topic",
                "the broker has lost the record, or the entry was made by hand: compare the services' rows",
            );
            mismatch.order_id = row.order_id;
            found.push(mismatch);
        }
    }
}

fn letters(index: &Index<'_>, by_id: &HashMap<Uuid, &TimelineRow>, found: &mut Findings) {
    let Some(desk) = index.desk("gateway") else { return };
    for letter in &index.reading.dead_letters {
        let moving = letter.key.is_some_and(|key| !index.is_still(key));
        let owed = desk.processed.contains(&letter.record_id)
            && !index.is_excused_of("gateway", letter.record_id)
            && !by_id.contains_key(&letter.record_id);
        if owed && !moving && !found.is_lost("gateway", letter.record_id) {
            found.push(Mismatch::of(
                Kind::TimelineMissing,
                format!("dead letter record {}", letter.record_id),
                "the gateway has taken charge of it, and the timeline does not have it",
                "one entry",
                "delete the record's id from the gateway's processed_event and set its group back to the record",
            ));
        }
    }
}

fn tells(row: &TimelineRow, fact: &Fact) -> bool {
    let order = fact.is_of_saga().then_some(fact.key);
    // of accounts the timeline keeps only whose they are
    let body = !fact.is_of_saga() || row.event.as_ref() == Some(&fact.event);
    body && row.topic == fact.topic()
        && row.source == fact.source
        && row.order_id == order
        && row.causation_id == fact.causation_id
        && row.correlation_id == fact.correlation_id
        && row.sequence == fact.sequence
}
