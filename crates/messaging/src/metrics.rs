//! What the kernel counts. Names follow OpenTelemetry's messaging conventions where they have one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::Topic;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::operations::Counts;
use crate::supervision::{Client, Stall};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Destination {
    messaging_destination_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Before {
    before: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Renewed {
    client: &'static str,
    reason: &'static str,
}

type PerTopic = Family<Destination, Counter>;

/// The kernel's metrics; clones share them.
#[derive(Debug, Clone)]
pub struct KernelMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    published: PerTopic,
    consumed: PerTopic,
    duplicates: PerTopic,
    attempts_failed: Counter,
    retried: Counter,
    refused: Counter,
    doubted: Counter,
    dead_lettered: Counter,
    batch_seconds: Histogram,
    batch_messages: Histogram,
    saga_seconds: Family<Destination, Histogram>,
    retained_at: Gauge,
    lag: Family<Destination, Gauge>,
    leads: Gauge,
    held: Family<Destination, Gauge>,
    misfits: Family<Destination, Gauge>,
    breaker_open: Family<Before, Gauge>,
    consumer_paused: Gauge,
    clients_renewed: Family<Renewed, Counter>,
    outbox_rows: Gauge,
    outbox_age_seconds: Gauge,
    oldest_transaction_seconds: Gauge,
    work_pending: Gauge,
    work_dead: Gauge,
}

impl Default for KernelMetrics {
    fn default() -> Self {
        Self(Arc::new(Inner {
            published: PerTopic::default(),
            consumed: PerTopic::default(),
            duplicates: PerTopic::default(),
            attempts_failed: Counter::default(),
            retried: Counter::default(),
            refused: Counter::default(),
            doubted: Counter::default(),
            dead_lettered: Counter::default(),
            batch_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            batch_messages: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            // up to eleven minutes: an order that is not paid for is cancelled after fifteen
            saga_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 2.0, 17))),
            retained_at: Gauge::default(),
            lag: Family::default(),
            leads: Gauge::default(),
            held: Family::default(),
            misfits: Family::default(),
            breaker_open: Family::default(),
            consumer_paused: Gauge::default(),
            clients_renewed: Family::default(),
            outbox_rows: Gauge::default(),
            outbox_age_seconds: Gauge::default(),
            oldest_transaction_seconds: Gauge::default(),
            work_pending: Gauge::default(),
            work_dead: Gauge::default(),
        }))
    }
}

impl KernelMetrics {
    /// Makes the metrics show up in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let it = &self.0;
        registry.register(
            "messaging_client_sent_messages",
            "Records acknowledged by Kafka",
            it.published.clone(),
        );
        registry.register(
            "messaging_client_consumed_messages",
            "Records received from Kafka",
            it.consumed.clone(),
        );
        registry.register(
            "messaging_duplicates",
            "Records that had been processed before",
            it.duplicates.clone(),
        );
        registry.register(
            "messaging_attempts_failed",
            "Failed attempts of messages and actions",
            it.attempts_failed.clone(),
        );
        registry.register(
            "messaging_retried",
            "Failed attempts of messages and actions after which there is another",
            it.retried.clone(),
        );
        registry.register(
            "messaging_publications_refused",
            "Records that Kafka will never take",
            it.refused.clone(),
        );
        registry.register(
            "messaging_publications_doubted",
            "Records whose batch Kafka refused, sent again to find out which of them are bad",
            it.doubted.clone(),
        );
        registry.register(
            "messaging_dead_letters",
            "Messages, actions and publications given up",
            it.dead_lettered.clone(),
        );
        registry.register_with_unit(
            "messaging_process_duration",
            "Time to process one batch",
            Unit::Seconds,
            it.batch_seconds.clone(),
        );
        registry.register(
            "messaging_batch_messages",
            "Messages in one batch",
            it.batch_messages.clone(),
        );
        registry.register_with_unit(
            "messaging_saga_age",
            "Time from the beginning of a saga until an event of it was processed",
            Unit::Seconds,
            it.saga_seconds.clone(),
        );
        registry.register_with_unit(
            "messaging_retention_last_success_timestamp",
            "When old ids and letters were last forgotten and partitions made ahead",
            Unit::Seconds,
            it.retained_at.clone(),
        );
        registry.register(
            "messaging_consumer_lag",
            "Messages not consumed yet",
            it.lag.clone(),
        );
        registry.register(
            "messaging_breaker_open",
            "Whether actions or messages wait because what they need is down",
            it.breaker_open.clone(),
        );
        registry.register(
            "messaging_consumer_paused",
            "Whether consumption waits for the database, or for an open breaker",
            it.consumer_paused.clone(),
        );
        registry.register(
            "messaging_clients_renewed",
            "Kafka clients that were dropped and made anew because they made no progress",
            it.clients_renewed.clone(),
        );
        registry.register(
            "messaging_relay_leads",
            "Whether this replica relays the outbox",
            it.leads.clone(),
        );
        registry.register(
            "messaging_relay_topic_held",
            "Whether rows of the topic wait because it refuses every record for now",
            it.held.clone(),
        );
        registry.register(
            "messaging_topic_misfit",
            "Whether the topic's settings do not fit those of this service",
            it.misfits.clone(),
        );
        registry.register(
            "messaging_outbox_rows",
            "Rows in the outbox",
            it.outbox_rows.clone(),
        );
        registry.register_with_unit(
            "messaging_outbox_oldest_age",
            "Age of the oldest row in the outbox",
            Unit::Seconds,
            it.outbox_age_seconds.clone(),
        );
        registry.register_with_unit(
            "messaging_oldest_transaction_age",
            "Age of the oldest transaction of the database's cluster, as far as it is known",
            Unit::Seconds,
            it.oldest_transaction_seconds.clone(),
        );
        registry.register(
            "messaging_work_pending",
            "Parked messages and open actions",
            it.work_pending.clone(),
        );
        registry.register("messaging_work_dead", "Dead letters", it.work_dead.clone());
    }

    /// What is counted by topic, breaker or client is there from the start, at 0: a rate over it knows the first one.
    /// `service` announces, and listens to `topics`.
    pub(crate) fn begin<'a>(&self, service: &str, topics: impl Iterator<Item = &'a str>, performs: bool) {
        let it = &self.0;
        let announced = Topic::ALL.iter().filter(|topic| topic.announced_by() == service);
        for topic in announced.map(|topic| topic.name()) {
            drop(it.published.get_or_create(&destination(topic)));
            drop(it.held.get_or_create(&destination(topic)));
            drop(it.misfits.get_or_create(&destination(topic)));
        }
        let mut consumes = false;
        for topic in topics {
            consumes = true;
            drop(it.consumed.get_or_create(&destination(topic)));
            drop(it.duplicates.get_or_create(&destination(topic)));
            drop(it.saga_seconds.get_or_create(&destination(topic)));
            drop(it.misfits.get_or_create(&destination(topic)));
        }
        if consumes {
            self.breaker("messages", false);
            self.begin_client(Client::Consumer);
        }
        if performs {
            self.breaker("actions", false);
        }
        self.begin_client(Client::Producer);
    }

    /// The same of a client.
    pub(crate) fn begin_client(&self, client: Client) {
        let client = client.label();
        for reason in Stall::LABELS {
            drop(self.0.clients_renewed.get_or_create(&Renewed { client, reason }));
        }
    }

    pub(crate) fn published(&self, topics: &HashMap<String, u64>) {
        for (topic, count) in topics {
            self.0.published.get_or_create(&destination(topic)).inc_by(*count);
        }
    }

    pub(crate) fn consumed(&self, topics: &HashMap<String, u64>) {
        for (topic, count) in topics {
            self.0.consumed.get_or_create(&destination(topic)).inc_by(*count);
        }
    }

    pub(crate) fn duplicates(&self, topics: &HashMap<String, u64>) {
        for (topic, count) in topics {
            self.0
                .duplicates
                .get_or_create(&destination(topic))
                .inc_by(*count);
        }
    }

    pub(crate) fn attempt_failed(&self, died: bool) {
        self.0.attempts_failed.inc();
        if died {
            self.0.dead_lettered.inc();
        } else {
            self.0.retried.inc();
        }
    }

    pub(crate) fn refused(&self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.0.refused.inc_by(records);
        self.0.dead_lettered.inc_by(records);
    }

    pub(crate) fn processed(&self, messages: usize, took: Duration) {
        self.0.batch_seconds.observe(took.as_secs_f64());
        self.0
            .batch_messages
            .observe(f64::from(u32::try_from(messages).unwrap_or(u32::MAX)));
    }

    pub(crate) fn saga_age(&self, topic: &str, age: TimeDelta) {
        let seconds = age.as_seconds_f64().max(0.0);
        self.0
            .saga_seconds
            .get_or_create(&destination(topic))
            .observe(seconds);
    }

    pub(crate) fn retained(&self, at: DateTime<Utc>) {
        self.0.retained_at.set(at.timestamp());
    }

    /// What is not known is not told.
    pub(crate) fn lag(&self, topic: &str, messages: Option<i64>) {
        let topic = destination(topic);
        if let Some(messages) = messages {
            self.0.lag.get_or_create(&topic).set(messages);
        } else {
            self.0.lag.remove(&topic);
        }
    }

    pub(crate) fn breaker(&self, before: &'static str, open: bool) {
        let breaker = self.0.breaker_open.get_or_create(&Before { before });
        breaker.set(i64::from(open));
    }

    pub(crate) fn consumer_paused(&self, paused: bool) {
        self.0.consumer_paused.set(i64::from(paused));
    }

    pub(crate) fn client_renewed(&self, client: Client, stall: &Stall) {
        let renewed = Renewed {
            client: client.label(),
            reason: stall.label(),
        };
        self.0.clients_renewed.get_or_create(&renewed).inc();
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.0.leads.set(i64::from(leads));
    }

    pub(crate) fn doubted(&self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.0.doubted.inc_by(records);
    }

    pub(crate) fn misfit(&self, topic: &str, misfit: bool) {
        let gauge = self.0.misfits.get_or_create(&destination(topic));
        gauge.set(i64::from(misfit));
    }

    /// Topics that begin to refuse every record, or take them again.
    pub(crate) fn held(&self, topics: &[String], held: bool) {
        for topic in topics {
            let hold = self.0.held.get_or_create(&destination(topic));
            hold.set(i64::from(held));
        }
    }

    pub(crate) fn backlog(&self, rows: i64, age_seconds: i64, pending: i64, dead: i64) {
        self.0.outbox_rows.set(rows);
        self.0.outbox_age_seconds.set(age_seconds);
        self.0.work_pending.set(pending);
        self.0.work_dead.set(dead);
    }
}

impl KernelMetrics {
    pub(crate) fn oldest_transaction(&self, age: Duration) {
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.0.oldest_transaction_seconds.set(seconds);
    }
}

/// As operators are told.
impl KernelMetrics {
    pub(crate) fn lag_of(&self, topic: &str) -> Option<i64> {
        self.0.lag.get(&destination(topic)).map(|lag| lag.get())
    }

    pub(crate) fn is_breaker_open(&self, before: &'static str) -> bool {
        let breaker = self.0.breaker_open.get(&Before { before });
        breaker.is_some_and(|breaker| breaker.get() == 1)
    }

    pub(crate) fn is_consumer_paused(&self) -> bool {
        self.0.consumer_paused.get() == 1
    }

    pub(crate) fn is_leading(&self) -> bool {
        self.0.leads.get() == 1
    }

    pub(crate) fn counts(&self) -> Counts {
        let sum = |family: &PerTopic| -> u64 {
            Topic::ALL
                .iter()
                .filter_map(|topic| family.get(&destination(topic.name())).map(|count| count.get()))
                .sum()
        };
        Counts {
            published: sum(&self.0.published),
            consumed: sum(&self.0.consumed),
            duplicates: sum(&self.0.duplicates),
            retried: self.0.retried.get(),
            dead_lettered: self.0.dead_lettered.get(),
            refused: self.0.refused.get(),
        }
    }
}

/// Counts by topic.
pub(crate) fn tally<'a>(topics: impl Iterator<Item = &'a str>) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for topic in topics {
        match counts.get_mut(topic) {
            Some(count) => *count += 1,
            None => drop(counts.insert(topic.to_owned(), 1)),
        }
    }
    counts
}

fn destination(topic: &str) -> Destination {
    Destination {
        messaging_destination_name: topic.to_owned(),
    }
}
