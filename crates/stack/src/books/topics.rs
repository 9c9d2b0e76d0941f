//! Reads every topic from its beginning to the end it has at that moment.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use ::books::desk::consumers;
use ::books::reading::{DeadLetter, Fact, Place, Unreadable};
use ::books::wire;
use chrono::{DateTime, Utc};
use contracts::{Envelope, Event, Topic};
use futures::future::try_join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::kafka::{blocking, client};
use crate::service::Service;

const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing new for so long means that the broker is stuck.
const SILENCE: Duration = Duration::from_secs(30);

/// The offset after the last one committed, by topic and partition.
type Committed = HashMap<(String, i32), i64>;
/// The partitions of all topics.
pub(super) type Layout = Vec<(Topic, i32)>;

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

/// Finds the partitions.
pub(super) async fn layout(brokers: &str) -> Result<Layout> {
    let brokers = brokers.to_owned();
    blocking(move || {
        let consumer = consumer(&brokers, "stack-books")?;
        let metadata = consumer.fetch_metadata(None, PATIENCE)?;
        let mut layout = Layout::new();
        for topic in Topic::ALL {
            let found = metadata
                .topics()
                .iter()
                .find(|found| found.name() == topic.name());
            let partitions = found.map(MetadataTopic::partitions).unwrap_or_default();
            if partitions.is_empty() {
                return Err(Error::Invalid(format!("the broker has no topic {topic}")));
            }
            layout.extend(partitions.iter().map(|partition| (topic, partition.id())));
        }
        Ok(layout)
    })
    .await?
}

/// The offsets that each service has committed.
pub(super) async fn all_committed(brokers: &str, layout: &Layout) -> Result<Vec<(Service, Committed)>> {
    let of = async |service: Service| Ok((service, committed(brokers, service.name(), layout).await?));
    try_join_all(Service::ALL.map(of)).await
}

/// The offset after the last one that a service has committed, for each partition that it has committed any of.
async fn committed(brokers: &str, service: &str, layout: &Layout) -> Result<Committed> {
    let (brokers, service) = (brokers.to_owned(), service.to_owned());
    let layout: Layout = layout
        .iter()
        .filter(|(topic, _)| consumers(*topic).contains(&service.as_str()))
        .copied()
        .collect();
    blocking(move || {
        if layout.is_empty() {
            return Ok(HashMap::new());
        }
        let consumer = consumer(&brokers, &service)?;
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in layout {
            wanted.add_partition(topic.name(), partition);
        }
        let found = consumer.committed_offsets(wanted, PATIENCE)?;
        let offset = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element
            .offset()
        {
            Offset::Offset(next) => Some(((element.topic().to_owned(), element.partition()), next)),
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => {
                None
            }
        };
        Ok(found.elements().into_iter().filter_map(offset).collect())
    })
    .await?
}

/// Whether every consumer has committed all that is there.
pub(super) async fn are_consumed(brokers: &str) -> Result<bool> {
    let layout = layout(brokers).await?;
    let committed = all_committed(brokers, &layout).await?.into_iter();
    let committed_by: HashMap<&str, Committed> = committed
        .map(|(service, offsets)| (service.name(), offsets))
        .collect();
    let brokers = brokers.to_owned();
    blocking(move || {
        let consumer = consumer(&brokers, "stack-books")?;
        for (topic, partition) in layout {
            let (low, high) = consumer.fetch_watermarks(topic.name(), partition, PATIENCE)?;
            let at = (topic.name().to_owned(), partition);
            let behind = |service: &&str| {
                let next = committed_by.get(service).and_then(|offsets| offsets.get(&at));
                high > low && next.is_none_or(|next| *next < high)
            };
            if consumers(topic).iter().any(behind) {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await?
}

/// Reads all records up to the ends that the partitions have now.
pub(super) async fn read(brokers: &str, layout: &Layout) -> Result<Told> {
    let (brokers, layout) = (brokers.to_owned(), layout.clone());
    blocking(move || {
        let consumer = consumer(&brokers, "stack-books")?;
        let mut told = Told::default();
        let mut ends = HashMap::new();
        let mut begins = HashMap::new();
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in layout {
            let (low, high) = consumer.fetch_watermarks(topic.name(), partition, PATIENCE)?;
            if low > 0 {
                begins.insert((topic, partition), (low, None));
            }
            if high > low {
                wanted.add_partition_offset(topic.name(), partition, Offset::Offset(low))?;
                ends.insert((topic, partition), high);
            }
        }
        consumer.assign(&wanted)?;
        told.take_all(&consumer, &mut ends, &mut begins)?;
        told.set_horizons(begins);
        Ok(told)
    })
    .await?
}

type Ends = HashMap<(Topic, i32), i64>;
/// Of partitions whose old records have been dropped: the first offset, and the time of the record there.
type Begins = HashMap<(Topic, i32), (i64, Option<DateTime<Utc>>)>;

fn consumer(brokers: &str, group: &str) -> Result<BaseConsumer> {
    Ok(client(brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.queue.backoff.ms", "20")
        .create()?)
}

impl Told {
    fn take_all(&mut self, consumer: &BaseConsumer, ends: &mut Ends, begins: &mut Begins) -> Result<()> {
        let mut heard = Instant::now();
        while !ends.is_empty() {
            let Some(message) = consumer.poll(Duration::from_millis(100)) else {
                // the last offsets of a partition may hold no record
                let positions = consumer.position()?;
                ends.retain(|(topic, partition), end| {
                    let position = positions.find_partition(topic.name(), *partition);
                    !matches!(position.map(|found| found.offset()), Some(Offset::Offset(next)) if next >= *end)
                });
                if heard.elapsed() > SILENCE {
                    return Err(Error::Invalid(format!(
                        "no record of {ends:?} came for {SILENCE:?}"
                    )));
                }
                continue;
            };
            let message = message?;
            heard = Instant::now();
            let Ok(topic) = message.topic().parse::<Topic>() else {
                continue;
            };
            let at = (topic, message.partition());
            let Some(end) = ends.get(&at).copied() else {
                continue;
            };
            if message.offset() < end {
                if let Some((_, first @ None)) = begins.get_mut(&at) {
                    *first = Some(written(&message));
                }
                self.take(topic, &message);
            }
            if message.offset().saturating_add(1) >= end {
                ends.remove(&at);
            }
        }
        Ok(())
    }

    fn take(&mut self, topic: Topic, message: &BorrowedMessage<'_>) {
        let place = Place {
            topic: topic.name().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
        };
        let headers = headers(message);
        if topic.is_dead_letter() {
            match dead_letter(message, &headers) {
                Some(letter) => self.letter(letter, place),
                None => self.unreadable(message, place, None, "no dead letter of the platform".to_owned()),
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
            Err(reason) => self.unreadable(message, place, Some(&envelope), reason),
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

    fn unreadable(
        &mut self,
        message: &BorrowedMessage<'_>,
        place: Place,
        envelope: Option<&Envelope>,
        reason: String,
    ) {
        self.unreadable.push(Unreadable {
            place,
            id: envelope.map(|envelope| envelope.id.uuid()),
            key: key(message),
            time: written(message),
            reason,
        });
    }

    /// What lies before the first records can only be compared where rows tell of it.
    fn set_horizons(&mut self, begins: Begins) {
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

fn written(message: &BorrowedMessage<'_>) -> DateTime<Utc> {
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

fn fact_of(topic: Topic, envelope: &Envelope, body: Value) -> Result<Event, String> {
    let event = wire::event(topic, body).map_err(|error| error.to_string())?;
    let event = event.ok_or("no topic of facts")?;
    if envelope.name != topic.name() || envelope.major != event.major() {
        return Err(format!("{}.v{} on {topic}", envelope.name, envelope.major));
    }
    Ok(event)
}

fn dead_letter(message: &BorrowedMessage<'_>, headers: &HashMap<String, Vec<u8>>) -> Option<DeadLetter> {
    let text = |name: &str| std::str::from_utf8(headers.get(name)?).ok();
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
