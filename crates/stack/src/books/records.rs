//! What records say.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::books::reading::{DeadLetter, Fact, Place, Unreadable};
use ::books::wire;
use chrono::{DateTime, Utc};
use contracts::{Envelope, Event, Topic};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde_json::Value;
use uuid::Uuid;

/// Of partitions whose old records have been dropped: the first offset, and the time of the record there.
pub(super) type Begins = HashMap<(Topic, i32), (i64, Option<DateTime<Utc>>)>;

/// What the topics say.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) facts: Vec<Fact>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) horizon: Option<DateTime<Utc>>,
    pub(super) letters_horizon: Option<DateTime<Utc>>,
    pub(super) notes: Vec<String>,
    fact_places: HashMap<Uuid, usize>,
    letter_places: HashMap<Uuid, usize>,
}

impl Told {
    pub(super) fn take(&mut self, topic: Topic, message: &BorrowedMessage<'_>) {
        let place = Place {
            topic: topic.name().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
        };
        let headers = headers(message);
        if topic.is_dead_letter() {
            match dead_letter(message, &headers) {
                Some(letter) => self.letter(letter, place),
                None => {
                    let id = text(&headers, "x-dead-letter-record-id").and_then(|id| id.parse().ok());
                    self.unreadable(message, place, id, "no dead letter of the platform".to_owned());
                }
            }
            return;
        }
        let envelope = match Envelope::from_headers(|name| headers.get(name).map(Vec::as_slice)) {
            Ok(envelope) => envelope,
            Err(error) => return self.unreadable(message, place, None, error.to_string()),
        };
        let body = serde_json::from_slice(message.payload().unwrap_or_default());
        let event = body
            .map_err(|error| error.to_string())
            .and_then(|body| fact_of(topic, &envelope, body));
        match event {
            Ok(event) => self.fact(envelope, event, place),
            Err(reason) => self.unreadable(message, place, Some(envelope.id.uuid()), reason),
        }
    }

    fn fact(&mut self, envelope: Envelope, event: Event, place: Place) {
        let id = envelope.id.uuid();
        if let Some(fact) = self
            .fact_places
            .get(&id)
            .and_then(|first| self.facts.get_mut(*first))
        {
            fact.places.push(place);
            return;
        }
        self.fact_places.insert(id, self.facts.len());
        self.facts.push(Fact {
            id,
            source: envelope.source,
            key: envelope.key,
            sequence: envelope.sequence,
            time: envelope.time,
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id,
            event,
            places: vec![place],
        });
    }

    fn letter(&mut self, letter: DeadLetter, place: Place) {
        let first = self.letter_places.get(&letter.record_id);
        if let Some(known) = first.and_then(|first| self.dead_letters.get_mut(*first)) {
            known.places.push(place);
            return;
        }
        self.letter_places
            .insert(letter.record_id, self.dead_letters.len());
        self.dead_letters.push(DeadLetter {
            places: vec![place],
            ..letter
        });
    }

    fn unreadable(&mut self, message: &BorrowedMessage<'_>, place: Place, id: Option<Uuid>, reason: String) {
        self.unreadable.push(Unreadable {
            place,
            id,
            key: key(message),
            time: written(message),
            reason,
        });
    }

    /// What lies before the first records can only be compared where rows tell of it.
    pub(super) fn set_horizons(&mut self, begins: Begins) {
        let mut begins: Vec<_> = begins.into_iter().collect();
        begins.sort_unstable_by_key(|((topic, partition), _)| (topic.name(), *partition));
        for ((topic, partition), (low, first)) in begins {
            let horizon = if topic.is_dead_letter() {
                &mut self.letters_horizon
            } else {
                &mut self.horizon
            };
            let first = first.unwrap_or_else(super::now);
            *horizon = (*horizon).max(Some(first));
            self.notes.push(format!(
                "{topic}:{partition} begins at offset {low}, {first}: what is older is compared only where rows tell of it"
            ));
        }
    }
}

pub(super) fn written(message: &BorrowedMessage<'_>) -> DateTime<Utc> {
    let millis = message.timestamp().to_millis().unwrap_or_default();
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

fn key(message: &BorrowedMessage<'_>) -> Option<Uuid> {
    std::str::from_utf8(message.key()?).ok()?.parse().ok()
}

/// Headers by name; of repeated ones the last, as Kafka has it. rdkafka panics over a name that is not text: such a
/// header is passed over.
fn headers(message: &BorrowedMessage<'_>) -> HashMap<String, Vec<u8>> {
    let Some(headers) = message.headers() else {
        return HashMap::new();
    };
    let one = |index| {
        let header = headers.try_get(index)?;
        Some((header.key.to_owned(), header.value?.to_vec()))
    };
    (0..headers.count())
        .filter_map(|index| catch_unwind(AssertUnwindSafe(|| one(index))).ok().flatten())
        .collect()
}

fn text<'a>(headers: &'a HashMap<String, Vec<u8>>, name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?).ok()
}

fn fact_of(topic: Topic, envelope: &Envelope, body: Value) -> Result<Event, String> {
    let event = wire::event(topic, body).map_err(|error| error.to_string())?;
    let event = event.ok_or("no topic of facts")?;
    if envelope.name != topic.name() || envelope.major != event.major() {
        return Err(format!("{}.v{} on {topic}", envelope.name, envelope.major));
    }
    Ok(event)
}

fn dead_letter(message: &BorrowedMessage<'_>, headers: &HashMap<String, Vec<u8>>) -> Option<DeadLetter> {
    let text = |name: &str| text(headers, name);
    let kind = text("x-dead-letter-kind")?;
    // a dead message was itself the event; a dead action was caused by one
    let event = if kind == "action" {
        "ce_causationid"
    } else {
        "ce_id"
    };
    Some(DeadLetter {
        record_id: text("x-dead-letter-record-id")?.parse().ok()?,
        service: text("x-consumer-group")?.to_owned(),
        work_id: text("x-dead-letter-id")?.parse().ok()?,
        name: text("x-dead-letter-name")?.to_owned(),
        key: key(message),
        event_id: text(event).and_then(|id| id.parse().ok()),
        time: text("x-last-failed-at")?.parse().ok()?,
        kind: kind.to_owned(),
        places: Vec::new(),
    })
}
