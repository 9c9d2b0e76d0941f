//! The reading by key.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{Event, Topic};
use uuid::Uuid;

use crate::desk::{Desk, Work, consumers};
use crate::flight;
use crate::reading::{Charge, DeadLetter, Fact, Limits, Order, Payment, Place, Reading, time_of};

/// A record, whatever it carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) topic: Topic,
    pub(crate) id: Option<Uuid>,
    pub(crate) key: Option<Uuid>,
    pub(crate) time: DateTime<Utc>,
    /// Where it stands first; nowhere when it was read in the timeline.
    pub(crate) place: Option<&'a Place>,
}

/// Rows of work tables by service and id.
type WorkBy<'a> = HashMap<&'a str, HashMap<Uuid, Vec<&'a Work>>>;

/// The reading by key, and what is in flight.
pub(crate) struct Index<'a> {
    pub(crate) reading: &'a Reading,
    pub(crate) limits: &'a Limits,
    pub(crate) orders: HashMap<Uuid, &'a Order>,
    /// By order.
    pub(crate) payments: HashMap<Uuid, &'a Payment>,
    /// By order.
    pub(crate) charges: HashMap<Uuid, &'a Charge>,
    /// By aggregate, in the order of their numbers.
    pub(crate) facts: HashMap<Uuid, Vec<&'a Fact>>,
    pub(crate) fact_by_id: HashMap<Uuid, &'a Fact>,
    /// Aggregates that are in motion.
    pub(crate) in_flight: HashSet<Uuid>,
    work_by_event: WorkBy<'a>,
    work_by_key: WorkBy<'a>,
    /// Records that have not been consumed yet, by service; with the time of the oldest.
    lag: BTreeMap<&'a str, (u64, DateTime<Utc>)>,
}

impl<'a> Index<'a> {
    pub(crate) fn of(reading: &'a Reading, limits: &'a Limits) -> Self {
        let mut facts: HashMap<Uuid, Vec<&Fact>> = HashMap::new();
        for fact in &reading.facts {
            facts.entry(fact.key).or_default().push(fact);
        }
        for of_key in facts.values_mut() {
            of_key.sort_by_key(|fact| (fact.sequence, fact.time, fact.id));
        }
        // of an order that was charged anew after a correction, the charge that took the money stands for it
        let mut charges: HashMap<Uuid, &Charge> = HashMap::new();
        for charge in reading.charges.iter().flatten() {
            let Some(order) = charge.order() else { continue };
            let kept = charges.entry(order).or_insert(charge);
            let takes_its_place = (charge.status == "approved", charge.created_at)
                > (kept.status == "approved", kept.created_at);
            if takes_its_place {
                *kept = charge;
            }
        }
        let mut index = Self {
            reading,
            limits,
            orders: reading.orders.iter().map(|order| (order.id, order)).collect(),
            payments: reading
                .payments
                .iter()
                .map(|payment| (payment.order_id, payment))
                .collect(),
            charges,
            facts,
            fact_by_id: reading.facts.iter().map(|fact| (fact.id, fact)).collect(),
            in_flight: HashSet::new(),
            work_by_event: HashMap::new(),
            work_by_key: HashMap::new(),
            lag: BTreeMap::new(),
        };
        for (service, desk) in &reading.desks {
            for work in &desk.work {
                if let Some(event) = work.event_id.filter(|_| work.kind == "message") {
                    let of_service = index.work_by_event.entry(service).or_default();
                    of_service.entry(event).or_default().push(work);
                }
                if let Some(key) = work.aggregate() {
                    let of_service = index.work_by_key.entry(service).or_default();
                    of_service.entry(key).or_default().push(work);
                }
            }
        }
        let (in_flight, lag) = flight::survey(&index);
        index.in_flight = in_flight;
        index.lag = lag;
        index
    }

    /// Every record that is known by its place.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let reading = self.reading;
        let facts = reading.facts.iter().map(|fact| Record {
            topic: fact.event.topic(),
            id: Some(fact.id),
            key: Some(fact.key),
            time: fact.time,
            place: fact.places.first(),
        });
        let letters = reading.dead_letters.iter().filter_map(|letter| {
            let place = letter.places.first();
            Some(Record {
                topic: contracts::topics::dead_letter_topic(&letter.service)
                    .parse()
                    .ok()?,
                id: Some(letter.record_id),
                key: letter.key,
                time: letter.time,
                place,
            })
        });
        let unreadable = reading.unreadable.iter().filter_map(|record| {
            Some(Record {
                topic: record.place.topic.parse().ok()?,
                id: record.id,
                key: record.key,
                time: record.time,
                place: Some(&record.place),
            })
        });
        facts.chain(letters).chain(unreadable)
    }

    /// Whether only interfaces were read, and no service's tables.
    pub(crate) fn desks_are_hidden(&self) -> bool {
        self.reading.desks.is_empty()
    }

    /// Whether what is known of this aggregate holds still.
    pub(crate) fn is_still(&self, key: Uuid) -> bool {
        !self.in_flight.contains(&key)
    }

    /// Whether all facts about this aggregate are still to be read.
    pub(crate) fn is_told(&self, key: Uuid) -> bool {
        self.after_horizon(time_of(key))
    }

    /// Whether something of this time is still to be read.
    pub(crate) fn after_horizon(&self, time: Option<DateTime<Utc>>) -> bool {
        match (self.reading.horizon, time) {
            (Some(horizon), Some(time)) => time > horizon,
            // an id without a time is none of ours: nothing excuses it
            (Some(_), None) | (None, _) => true,
        }
    }

    /// Whether something of this time is old enough to be judged.
    pub(crate) fn is_settled(&self, time: DateTime<Utc>) -> bool {
        time < self.reading.begun_at - self.limits.grace
    }

    pub(crate) fn facts_of(&self, key: Uuid) -> &[&'a Fact] {
        self.facts.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Facts about `key` on one topic.
    pub(crate) fn said(&self, key: Uuid, topic: Topic) -> Vec<&'a Fact> {
        let of_key = self.facts_of(key).iter().copied();
        of_key.filter(|fact| fact.event.topic() == topic).collect()
    }

    pub(crate) fn desk(&self, service: &str) -> Option<&'a Desk> {
        self.reading.desks.get(service)
    }

    /// Rows of a service's work table about an event that it was sent.
    pub(crate) fn work_on_event(&self, service: &str, event: Uuid) -> &[&'a Work] {
        let rows = self.work_by_event.get(service).and_then(|rows| rows.get(&event));
        rows.map(Vec::as_slice).unwrap_or_default()
    }

    /// Rows of a service's work table about an aggregate.
    pub(crate) fn work_on_key(&self, service: &str, key: Uuid) -> &[&'a Work] {
        let rows = self.work_by_key.get(service).and_then(|rows| rows.get(&key));
        rows.map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether `service` has an event of this aggregate that it could not apply.
    pub(crate) fn is_excused(&self, service: &str, key: Uuid) -> bool {
        self.work_on_key(service, key)
            .iter()
            .any(|work| work.kind == "message" && work.excuses())
    }

    /// Whether `service` has an event that it could not apply.
    pub(crate) fn is_excused_of(&self, service: &str, event: Uuid) -> bool {
        self.work_on_event(service, event)
            .iter()
            .any(|work| work.excuses())
    }

    /// Whether `service` has taken charge of a record.
    pub(crate) fn has_taken(&self, service: &str, desk: &Desk, record: &Record<'_>) -> bool {
        let by_id = record
            .id
            .is_some_and(|id| desk.processed.contains(&id) || !self.work_on_event(service, id).is_empty());
        // what cannot be told from a duplicate is parked under its place
        by_id
            || record
                .place
                .is_some_and(|place| desk.work.iter().any(|work| work.came_from(place)))
    }

    pub(crate) fn lag_of(&self, service: &str) -> u64 {
        self.lag.get(service).map_or(0, |(records, _)| *records)
    }

    pub(crate) fn lags(&self) -> impl Iterator<Item = (&'a str, u64, DateTime<Utc>)> + '_ {
        self.lag
            .iter()
            .map(|(service, (records, oldest))| (*service, *records, *oldest))
    }

    /// The dead letters of an aggregate at a service, for whoever is to repair it.
    pub(crate) fn letters_of(&self, service: &str, key: Uuid) -> Vec<&'a DeadLetter> {
        let letters = self.reading.dead_letters.iter();
        letters
            .filter(|letter| letter.service == service && letter.key == Some(key))
            .collect()
    }
}

impl Record<'_> {
    pub(crate) fn consumers(&self) -> &'static [&'static str] {
        consumers(self.topic)
    }
}

impl Fact {
    /// Whether it is about an order or its payment.
    pub(crate) const fn is_of_saga(&self) -> bool {
        !matches!(self.event, Event::UserRegistered(_) | Event::SessionRevoked(_))
    }
}
