//! The answer: counts, sums, and every mismatch with a proposed repair.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::index::Index;
use crate::kind::Kind;
use crate::reading::{Amount, Fact, FactsFrom};

/// What came of a comparison.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Whether nothing is wrong.
    pub balanced: bool,
    /// When reading began.
    pub begun_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: DateTime<Utc>,
    /// What was compared.
    pub counts: Counts,
    /// The money, by currency.
    pub sums: Vec<Sum>,
    /// All that is wrong.
    pub mismatches: Vec<Mismatch>,
    /// Disputes that are not decided, however old their payments: nothing is wrong in the books, and somebody must act.
    pub open_disputes: Vec<OpenDispute>,
    /// What limits the comparison: dropped records, a window.
    pub notes: Vec<String>,
}

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReconciliationCounts)]
pub struct Counts {
    /// Orders by status.
    pub orders: BTreeMap<String, u64>,
    /// Payments by status.
    pub payments: BTreeMap<String, u64>,
    /// Disputes by status.
    pub disputes: BTreeMap<String, u64>,
    /// Orders, and users, that are in motion and not judged.
    pub in_flight: u64,
    /// Facts by topic; one that was published again counts once.
    pub facts: BTreeMap<String, u64>,
    /// Records of a fact beyond its first; absent where only its entry in the timeline is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_again: Option<u64>,
    /// Records, or entries of the timeline, that are no events.
    pub unreadable: u64,
    /// Dead letters by service, as announced; those that were replayed since are among them.
    pub dead_letters: BTreeMap<String, u64>,
    /// Charges in the provider's books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charges: Option<u64>,
    /// Notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<u64>,
    /// Entries of the timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u64>,
    /// What each service has on its desk; absent of a service that does not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub backlog: BTreeMap<String, Backlog>,
}

/// What one service has on its desk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReconciliationBacklog)]
pub struct Backlog {
    /// Records that wait for their way to Kafka.
    pub outbox: u64,
    /// Messages and actions that are to be tried again.
    pub pending: u64,
    /// Dead letters that nobody has dealt with.
    pub dead: u64,
    /// Records that have not been consumed yet; absent where the topics are not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Ids of events taken charge of; absent where the table is not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processed: Option<u64>,
}

impl Backlog {
    /// Whether nothing is on the way. Dead letters wait for a person.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outbox == 0 && self.pending == 0 && self.lag.is_none_or(|lag| lag == 0)
    }
}

/// The money of one currency, in minor units. Of what is in flight nothing is counted, but what is on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sum {
    /// ISO 4217 code.
    #[schema(example = "EUR")]
    pub currency: String,
    /// What the confirmed orders cost.
    pub confirmed_minor: i64,
    /// What the provider took.
    pub captured_minor: i64,
    /// What it gave back.
    pub refunded_minor: i64,
    /// What it took for payments that are still open: to be given back, or its answer is not known yet.
    pub held_minor: i64,
    /// What lost disputes took back, as the payments have it.
    pub charged_back_minor: i64,
    /// The same as it was announced.
    pub written_off_minor: i64,
    /// Captured and written off, less refunded, held, charged back and confirmed: 0.
    pub difference_minor: i64,
}

/// A dispute that is not decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "dispute_id": "019b7b98-5d20-7b31-9c44-0e1f2a3b4c5d",
    "payment_id": "019b7b12-b2c8-7d02-8d5e-7a1f3b0c4d21",
    "order_id": "019b7b12-b000-7408-a20e-0543f83c7e68",
    "amount": {"amount_minor": 12900, "currency": "EUR"},
    "status": "needs_response",
    "reason": "fraudulent",
    "respond_by": null,
    "provider_reference": "dp_1",
    "action": "answer it with evidence at the provider, or accept it: see there until when",
}))]
pub struct OpenDispute {
    /// The dispute.
    pub dispute_id: Uuid,
    /// The payment whose money is disputed.
    pub payment_id: Uuid,
    /// The order that it pays for.
    pub order_id: Uuid,
    /// How much.
    pub amount: Amount,
    /// How far it is.
    pub status: String,
    /// Why, in the provider's words.
    #[schema(required)]
    pub reason: Option<String>,
    /// Until when it can be answered, where that is known.
    #[schema(required)]
    pub respond_by: Option<DateTime<Utc>>,
    /// The provider's id of it.
    #[schema(required)]
    pub provider_reference: Option<String>,
    /// What to do about it.
    pub action: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mismatch {
    /// What is wrong.
    pub kind: Kind,
    /// What it is about: `order <id>`, `event <id> at notification`, `EUR`.
    pub subject: String,
    /// The order, when it is about one.
    #[schema(required)]
    pub order_id: Option<Uuid>,
    /// What is.
    pub found: String,
    /// What should be.
    pub expected: String,
    /// What to do about it.
    pub repair: String,
}

impl Mismatch {
    /// About an order.
    pub(crate) fn of_order(
        kind: Kind,
        order: Uuid,
        found: impl Into<String>,
        expected: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            order_id: Some(order),
            ..Self::of(kind, format!("order {order}"), found, expected, repair)
        }
    }

    /// About a fact, and the order that the fact is about.
    pub(crate) fn of_fact(
        kind: Kind,
        fact: &Fact,
        found: impl Into<String>,
        expected: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        let subject = format!("{} {}", fact.topic(), fact.id);
        let order_id = fact.is_of_saga().then_some(fact.key);
        Self {
            order_id,
            ..Self::of(kind, subject, found, expected, repair)
        }
    }

    /// About anything.
    pub fn of(
        kind: Kind,
        subject: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            subject: subject.into(),
            order_id: None,
            found: found.into(),
            expected: expected.into(),
            repair: repair.into(),
        }
    }
}

/// What the comparisons have found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    mismatches: Vec<Mismatch>,
    /// Effects that are known to be lost with their dead letter: service, and event or aggregate.
    lost: HashSet<(String, Uuid)>,
}

impl Findings {
    pub(crate) fn push(&mut self, mismatch: Mismatch) {
        self.mismatches.push(mismatch);
    }

    pub(crate) fn note_lost(&mut self, service: &str, id: Option<Uuid>) {
        self.lost.extend(id.map(|id| (service.to_owned(), id)));
    }

    pub(crate) fn is_lost(&self, service: &str, id: Uuid) -> bool {
        self.lost.contains(&(service.to_owned(), id))
    }
}

impl Report {
    pub(crate) fn of(index: &Index<'_>, mut found: Findings, sums: Vec<Sum>) -> Self {
        found
            .mismatches
            .sort_by(|a, b| (a.order_id, a.kind, &a.subject).cmp(&(b.order_id, b.kind, &b.subject)));
        found.mismatches.dedup();
        Self {
            balanced: found.mismatches.is_empty(),
            begun_at: index.reading.begun_at,
            ended_at: index.reading.ended_at,
            counts: Counts::of(index),
            sums,
            mismatches: found.mismatches,
            open_disputes: crate::disputes::open(index),
            notes: index.reading.notes.clone(),
        }
    }

    /// Adds what is wrong besides.
    pub fn add(&mut self, mismatch: Mismatch) {
        self.mismatches.push(mismatch);
        self.balanced = false;
    }

    /// Keeps only what an `earlier` comparison found as well: what was seen once may have been in motion.
    #[must_use]
    pub fn confirming(mut self, earlier: &Self) -> Self {
        let seen: HashSet<(Kind, &str)> = earlier
            .mismatches
            .iter()
            .map(|mismatch| (mismatch.kind, mismatch.subject.as_str()))
            .collect();
        self.mismatches
            .retain(|mismatch| seen.contains(&(mismatch.kind, mismatch.subject.as_str())));
        self.balanced = self.mismatches.is_empty();
        self
    }

    /// Whether nothing is on the way anywhere.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.counts.in_flight == 0 && self.counts.backlog.values().all(Backlog::is_drained)
    }
}

impl Counts {
    fn of(index: &Index<'_>) -> Self {
        let reading = index.reading;
        let again = reading
            .facts
            .iter()
            .map(|fact| fact.places.len().saturating_sub(1));
        Self {
            orders: tally(reading.orders.iter().map(|order| order.status.as_str())),
            payments: tally(reading.payments.iter().map(|payment| payment.status.as_str())),
            disputes: tally(reading.disputes.iter().map(|dispute| dispute.status.as_str())),
            in_flight: count(index.in_flight.len()),
            facts: tally(reading.facts.iter().map(Fact::topic)),
            published_again: (reading.facts_from == FactsFrom::Topics).then(|| count(again.sum())),
            unreadable: count(reading.unreadable.len()).saturating_add(reading.unreadable_entries),
            dead_letters: tally(reading.dead_letters.iter().map(|letter| letter.service.as_str())),
            charges: reading.charges.as_ref().map(|rows| count(rows.len())),
            notifications: reading.notifications.as_ref().map(|rows| count(rows.len())),
            timeline: reading.timeline.as_ref().map(|rows| count(rows.len())),
            backlog: reading
                .desks
                .iter()
                .map(|(service, desk)| {
                    let backlog = Backlog {
                        outbox: count(desk.outbox.len()),
                        pending: count(desk.work.iter().filter(|work| work.is_pending()).count()),
                        dead: count(desk.work.iter().filter(|work| work.is_dead()).count()),
                        lag: Some(index.lag_of(service)),
                        processed: Some(count(desk.processed.len())),
                    };
                    (service.clone(), backlog)
                })
                .collect(),
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn tally<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut tally = BTreeMap::new();
    for name in names {
        let counted = tally.entry(name.to_owned()).or_insert(0_u64);
        *counted = counted.saturating_add(1);
    }
    tally
}
