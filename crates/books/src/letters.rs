//! Dead letters: each has its row and its record, until it is made good.

use contracts::Topic;
use contracts::topics::dead_letter_topic;

use crate::Kind;
use crate::desk::Work;
use crate::index::Index;
use crate::reading::{DeadLetter, OrderStatus, PaymentStatus};
use crate::report::{Findings, Mismatch};

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    for letter in &index.reading.dead_letters {
        lost(index, letter, found);
    }
    for (service, desk) in &index.reading.desks {
        for work in desk.work.iter().filter(|work| work.is_dead()) {
            unannounced(index, service, work, found);
        }
    }
}

/// A row that has gone was replayed, and then its effect is there; or another was put in its place, and that one is
/// judged.
fn lost(index: &Index<'_>, letter: &DeadLetter, found: &mut Findings) {
    let Some(desk) = index.desk(&letter.service) else {
        return;
    };
    let moving = letter.key.is_some_and(|key| !index.is_still(key)) || !index.is_settled(letter.time);
    if moving || desk.superseded.contains(&letter.work_id) {
        return;
    }
    if desk.work.iter().any(|work| work.id == letter.work_id) || is_made_good(index, letter) {
        return;
    }
    let id = match letter.kind.as_str() {
        "action" => letter.key,
        _ => letter.event_id,
    };
    found.note_lost(&letter.service, id);
    let subject = format!("dead letter {} of {}", letter.work_id, letter.service);
    let died = format!("the {} {} died at {}", letter.kind, letter.name, letter.time);
    let mut mismatch = Mismatch::of(
        Kind::DeadLetterLost,
        subject,
        format!("{died}, its row has gone, and its effect is not there"),
        "the row, dead or discarded, or its effect",
        format!(
            "put the row back into {}.work from its record on {} (event {}), then replay it",
            letter.service,
            place(letter),
            letter.record_id
        ),
    );
    mismatch.order_id = letter.key.filter(|key| index.orders.contains_key(key));
    found.push(mismatch);
}

fn place(letter: &DeadLetter) -> String {
    letter.places.first().map_or_else(
        || dead_letter_topic(&letter.service),
        |place| format!("{}:{}@{}", place.topic, place.partition, place.offset),
    )
}

fn is_made_good(index: &Index<'_>, letter: &DeadLetter) -> bool {
    match letter.kind.as_str() {
        "action" => is_done(index, letter),
        "publication" => letter
            .event_id
            .is_some_and(|event| index.fact_by_id.contains_key(&event)),
        _ => is_applied(index, letter),
    }
}

/// An action that is not wanted any more is as good as done.
fn is_done(index: &Index<'_>, letter: &DeadLetter) -> bool {
    let Some(key) = letter.key else { return true };
    let wanted = match letter.service.as_str() {
        "payment" => index
            .payments
            .get(&key)
            .is_some_and(|payment| payment.status.is_open()),
        "notification" => {
            let mut deliveries = index.reading.deliveries.iter().flatten();
            deliveries.any(|delivery| delivery.id == key && delivery.is_owed())
        }
        _ => false,
    };
    !wanted || !index.work_on_key(&letter.service, key).is_empty()
}

fn is_applied(index: &Index<'_>, letter: &DeadLetter) -> bool {
    let Some(event) = letter.event_id else {
        return false;
    };
    if index.is_excused_of(&letter.service, event) {
        return true;
    }
    let reading = index.reading;
    let topic: Option<Topic> = letter.name.parse().ok();
    match letter.service.as_str() {
        "notification" => reading.notifications.iter().flatten().any(|row| row.id == event),
        "gateway" => reading.timeline.iter().flatten().any(|row| row.event_id == event),
        "order" => letter
            .key
            .and_then(|key| index.orders.get(&key))
            .is_some_and(|order| match topic {
                Some(Topic::PaymentRefunded) => order.refunded,
                _ => order.status != OrderStatus::Pending,
            }),
        "payment" => letter
            .key
            .and_then(|key| index.payments.get(&key))
            .is_some_and(|payment| match topic {
                Some(Topic::OrderCancelled) => payment.status != PaymentStatus::Completed,
                _ => true,
            }),
        _ => true,
    }
}

fn unannounced(index: &Index<'_>, service: &str, work: &Work, found: &mut Findings) {
    // what was itself a dead letter of this service is only kept, or it would feed itself for ever
    let own = dead_letter_topic(service);
    let time = work.last_failed_at.unwrap_or(work.next_attempt_at);
    let beyond = index
        .reading
        .letters_horizon
        .is_some_and(|horizon| time <= horizon);
    if work.name == own || beyond || !index.is_settled(time) {
        return;
    }
    let announced = index
        .reading
        .dead_letters
        .iter()
        .any(|letter| letter.work_id == work.id);
    let waits = index.desk(service).is_some_and(|desk| {
        let id = work.id.to_string();
        desk.outbox
            .iter()
            .any(|row| row.dead_letter_id.as_deref() == Some(&id))
    });
    if announced || waits {
        return;
    }
    let mut mismatch = Mismatch::of(
        Kind::DeadLetterUnannounced,
        format!("dead letter {} of {service}", work.id),
        format!(
            "the {} {} is dead, and {own} does not have it",
            work.kind, work.name
        ),
        format!("a record on {own}"),
        format!(
            "look at it and replay or discard it: POST /{}/dead-letters/{}/replay",
            public(service),
            work.id
        ),
    );
    mismatch.order_id = work.aggregate().filter(|key| index.orders.contains_key(key));
    found.push(mismatch);
}

/// The name that stands for a service in the gateway's paths.
pub(crate) fn public(service: &str) -> &str {
    match service {
        "order" => "orders",
        "payment" => "payments",
        "notification" => "notifications",
        other => other,
    }
}

/// Where to see how a service is.
pub(crate) fn status_of(service: &str) -> String {
    match service {
        "gateway" => "GET /health and the gateway's metrics".to_owned(),
        other => format!("GET /{}/events/status", public(other)),
    }
}

/// What to do about an aggregate whose event or action is stuck at a service.
pub(crate) fn replay(index: &Index<'_>, service: &str, key: uuid::Uuid) -> Option<String> {
    let dead = index
        .work_on_key(service, key)
        .iter()
        .find(|work| work.is_dead())?;
    let letters = index.letters_of(service, key);
    let times = match letters.len() {
        0 | 1 => String::new(),
        more => format!(" (it died {more} times)"),
    };
    Some(format!(
        "replay its dead letter{times}: POST /{}/dead-letters/{}/replay",
        public(service),
        dead.id
    ))
}
