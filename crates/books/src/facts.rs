//! Facts among themselves: announced once, numbered without holes, of one saga, with causes that exist.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::events::CancellationReason;
use contracts::{Event, Topic};
use uuid::Uuid;

use crate::Kind;
use crate::index::Index;
use crate::provider::SIMULATED;
use crate::reading::{Fact, FactsFrom};
use crate::report::{Findings, Mismatch};

pub(crate) const ROW_IS_RIGHT: &str = "facts never change: correct the row after the fact, or, when the row is right, announce the state again \
     under a new event id";

/// The one fact of `key` on `topic`; none and several are mismatches.
pub(crate) fn expect_one<'a>(
    index: &Index<'a>,
    key: Uuid,
    topic: Topic,
    because: &str,
    found: &mut Findings,
) -> Option<&'a Fact> {
    let said = index.said(key, topic);
    match said.as_slice() {
        [one] => Some(one),
        [] => {
            found.push(absent(index, key, topic, because));
            None
        }
        several => {
            let ids: Vec<String> = several.iter().map(|fact| fact.id.to_string()).collect();
            found.push(Mismatch::of_order(
                Kind::FactRepeated,
                key,
                format!("{topic} was announced as {}", ids.join(" and ")),
                format!("{topic} once"),
                "find out who announced it again; consumers that are no state machines (notification, timeline) have \
                 told it twice",
            ));
            None
        }
    }
}

pub(crate) fn absent(index: &Index<'_>, key: Uuid, topic: Topic, because: &str) -> Mismatch {
    match index.reading.facts_from {
        FactsFrom::Topics => Mismatch::of_order(
            Kind::FactMissing,
            key,
            format!("{because}, and {topic} is neither on its topic nor in an outbox"),
            format!("one {topic}"),
            format!("write {topic} into the outbox of its service, with the next number of its aggregate"),
        ),
        FactsFrom::Timeline => Mismatch::of_order(
            Kind::TimelineMissing,
            key,
            format!("{because}, and the timeline does not have {topic}"),
            format!("one {topic} in the timeline"),
            "when GET /health shows the gateway well, run `stack books`: it tells whether the fact is on its topic",
        ),
    }
}

/// Facts that tell of a state that was not reached, or not any more.
pub(crate) fn unfounded(index: &Index<'_>, key: Uuid, topic: Topic, state: &str, found: &mut Findings) {
    for fact in index.said(key, topic) {
        found.push(Mismatch::of_fact(
            Kind::FactUnfounded,
            fact,
            format!("it was announced, and the row is {state}"),
            "a row in the state that was announced",
            "facts never change: set the row to the state that was announced, after a look at its other facts",
        ));
    }
}

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    for (key, facts) in &index.facts {
        if !index.is_still(*key) {
            continue;
        }
        for (source, numbers) in numbers(facts) {
            sequence(index, *key, source, &numbers, found);
        }
        saga(index, facts, found);
    }
    unheard(index, found);
}

/// Ids by number by source.
fn numbers<'a>(facts: &[&'a Fact]) -> BTreeMap<&'a str, BTreeMap<u64, BTreeSet<Uuid>>> {
    let mut numbers: BTreeMap<&str, BTreeMap<u64, BTreeSet<Uuid>>> = BTreeMap::new();
    for fact in facts {
        let of_source = numbers.entry(fact.source.as_str()).or_default();
        of_source.entry(fact.sequence).or_default().insert(fact.id);
    }
    numbers
}

fn sequence(
    index: &Index<'_>,
    key: Uuid,
    source: &str,
    numbers: &BTreeMap<u64, BTreeSet<Uuid>>,
    found: &mut Findings,
) {
    let subject = format!("{} {key}", aggregate(source));
    for (number, ids) in numbers.iter().filter(|(_, ids)| ids.len() > 1) {
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let mut mismatch = Mismatch::of(
            Kind::SequenceRepeated,
            format!("{subject} number {number}"),
            format!("events {} of {source} have number {number}", ids.join(" and ")),
            "one event a number",
            "find out who announced beside the aggregate's lock; then correct the row after its facts",
        );
        mismatch.order_id = order_of(index, key);
        found.push(mismatch);
    }
    let last = numbers.last_key_value().map_or(0, |(last, _)| *last);
    let first = match (index.is_told(key), numbers.first_key_value()) {
        (false, Some((first, _))) => *first,
        _ => 1,
    };
    let upto = announced(index, key, source).unwrap_or(last).max(last);
    // however wrong a number is, this ends
    let holes: Vec<u64> = (first..=upto.min(last.saturating_add(1_000)))
        .filter(|number| !numbers.contains_key(number))
        .take(10)
        .collect();
    let row = announced(index, key, source).filter(|announced| *announced < last);
    if holes.is_empty() && row.is_none() {
        return;
    }
    let what = match row {
        Some(row) => format!("{source} counts {row} events, and number {last} is announced"),
        None => format!("numbers {holes:?} of {source} are missing"),
    };
    let mut mismatch = Mismatch::of(
        Kind::SequenceGap,
        format!("{subject} of {source}"),
        what,
        format!("the numbers from {first} to {upto}, each once"),
        match index.reading.facts_from {
            FactsFrom::Topics => {
                "look for the record in the outbox's dead publications and in the topic; announce the state again when it is lost"
            }
            FactsFrom::Timeline => "run `stack books`: it tells whether the fact is on its topic",
        },
    );
    mismatch.order_id = order_of(index, key);
    found.push(mismatch);
}

fn aggregate(source: &str) -> &'static str {
    match source {
        "auth" => "user",
        "payment" => "payment of order",
        _ => "order",
    }
}

fn order_of(index: &Index<'_>, key: Uuid) -> Option<Uuid> {
    index
        .facts_of(key)
        .iter()
        .any(|fact| fact.is_of_saga())
        .then_some(key)
}

fn announced(index: &Index<'_>, key: Uuid, source: &str) -> Option<u64> {
    match source {
        "order" => index.orders.get(&key)?.announced,
        "payment" => index.payments.get(&key)?.announced,
        "auth" => {
            let mut users = index.reading.users.iter().flatten();
            users.find(|user| user.id == key).map(|user| user.announced)
        }
        _ => None,
    }
}

fn saga(index: &Index<'_>, facts: &[&Fact], found: &mut Findings) {
    let of_saga: Vec<&Fact> = facts.iter().copied().filter(|fact| fact.is_of_saga()).collect();
    let Some(first) = of_saga
        .iter()
        .find(|fact| matches!(fact.event, Event::OrderCreated(_)))
        .or(of_saga.first())
    else {
        return;
    };
    for fact in &of_saga {
        if fact.correlation_id != first.correlation_id {
            found.push(Mismatch::of_fact(
                Kind::CorrelationDiffers,
                fact,
                format!("it belongs to saga {}", fact.correlation_id),
                format!("{}, as {} of the same order", first.correlation_id, first.topic()),
                "find the service that lost ce_correlationid: what follows from this fact cannot be traced",
            ));
        }
        if index.is_told(fact.key) && !is_caused(index, fact) {
            found.push(Mismatch::of_fact(
                Kind::CausationUnknown,
                fact,
                format!("its cause {} is no fact of this order", fact.causation_id),
                format!("the id of {}", causes(&fact.event).join(" or ")),
                "find out who announced it: no step of the platform leads to this fact",
            ));
        }
    }
}

/// The topics whose facts may lead to an event; none when a request or a clock may.
fn causes(event: &Event) -> &'static [&'static str] {
    match event {
        Event::OrderConfirmed(_) => &["payment.completed"],
        Event::OrderCancelled(said) if said.reason == CancellationReason::PaymentFailed => {
            // the latter when both crossed: the payment failed, and took the money after all
            &["payment.failed", "payment.refunded"]
        }
        Event::PaymentCompleted(_) | Event::PaymentFailed(_) | Event::PaymentRefunded(_) => {
            &["order.created", "order.cancelled"]
        }
        Event::OrderCreated(_)
        | Event::OrderCancelled(_)
        // the provider tells of it unasked
        | Event::PaymentDisputed(_)
        | Event::PaymentDisputeClosed(_)
        | Event::UserRegistered(_)
        | Event::SessionRevoked(_) => &[],
    }
}

fn is_caused(index: &Index<'_>, fact: &Fact) -> bool {
    let causes = causes(&fact.event);
    causes.is_empty()
        || may_come_from_outside(index, fact)
        || index
            .fact_by_id
            .get(&fact.causation_id)
            .is_some_and(|cause| cause.key == fact.key && causes.contains(&cause.topic()))
}

/// What a payment announces may follow from a notice of its provider. The simulated one sends none.
fn may_come_from_outside(index: &Index<'_>, fact: &Fact) -> bool {
    let payment = index.payments.get(&fact.key);
    fact.source == "payment" && payment.is_some_and(|payment| payment.provider != SIMULATED)
}

/// Users of whom nothing was announced.
fn unheard(index: &Index<'_>, found: &mut Findings) {
    let announced: HashMap<Uuid, usize> = index
        .reading
        .facts
        .iter()
        .filter(|fact| matches!(fact.event, Event::UserRegistered(_)))
        .fold(HashMap::new(), |mut counted, fact| {
            *counted.entry(fact.key).or_default() += 1;
            counted
        });
    for user in index.reading.users.iter().flatten() {
        let judged = index.is_still(user.id) && index.after_horizon(Some(user.created_at));
        let kind = match announced.get(&user.id) {
            None => Kind::FactMissing,
            Some(1) => continue,
            Some(_) => Kind::FactRepeated,
        };
        if judged {
            found.push(Mismatch::of(
                kind,
                format!("user {}", user.id),
                format!("user.registered was announced {} times", announced.get(&user.id).unwrap_or(&0)),
                "user.registered once",
                "write user.registered into the outbox of auth when it is missing; when it is repeated, find out who did",
            ));
        }
    }
}
