//! Reads from Kafka how each order ended, and when.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use contracts::Topic;
use hdrhistogram::Histogram;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use stack::kafka::bounds;
use stack::kafka::client;
use uuid::Uuid;

/// How an order ended.
#[derive(Debug, Clone, Copy)]
struct End {
    at_ms: i64,
    confirmed: bool,
}

/// How the orders of one run ended.
#[derive(Debug)]
pub(super) struct Settled {
    /// When each confirmed order was confirmed, in milliseconds since 1970.
    pub(super) confirmed_at_ms: Vec<i64>,
    /// Cancelled orders.
    pub(super) cancelled: u64,
    /// Accepted orders of which nothing was heard.
    pub(super) missing: u64,
    /// From the beginning of the POST to the record, in milliseconds.
    pub(super) saga_ms: Histogram<u64>,
}

/// Follows `order.confirmed` and `order.cancelled`. The time of an end is the record's timestamp.
pub(super) struct Outcomes {
    ends: Arc<Mutex<HashMap<Uuid, End>>>,
    stop: Arc<AtomicBool>,
}

impl Outcomes {
    /// Follows the topics from their ends on.
    pub(super) async fn watch(brokers: &str) -> anyhow::Result<Self> {
        let outcomes = Self {
            ends: Arc::default(),
            stop: Arc::default(),
        };
        let (ends, stop) = (Arc::clone(&outcomes.ends), Arc::clone(&outcomes.stop));
        let brokers = brokers.to_owned();
        let consumer = tokio::task::spawn_blocking(move || at_end(&brokers)).await??;
        std::thread::spawn(move || follow(&consumer, &ends, &stop));
        Ok(outcomes)
    }

    /// Waits until `accepted` orders have ended and returns how long that took.
    pub(super) async fn drain(&self, accepted: u64, patience: Duration) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            let ended = self.ends.lock().unwrap_or_else(PoisonError::into_inner).len();
            if u64::try_from(ended)? >= accepted {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > patience {
                bail!("only {ended} of {accepted} orders were settled within {patience:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How these orders ended.
    pub(super) fn of(&self, accepted: &[(Uuid, i64)]) -> anyhow::Result<Settled> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settled = Settled {
            confirmed_at_ms: Vec::new(),
            cancelled: 0,
            missing: 0,
            saga_ms: Histogram::new(3)?,
        };
        for (id, begin_ms) in accepted {
            let Some(end) = ends.get(id) else {
                settled.missing += 1;
                continue;
            };
            settled
                .saga_ms
                .record(u64::try_from(end.at_ms - begin_ms).unwrap_or_default())?;
            match end.confirmed {
                true => settled.confirmed_at_ms.push(end.at_ms),
                false => settled.cancelled += 1,
            }
        }
        Ok(settled)
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn at_end(brokers: &str) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()?;
    let topics = [Topic::OrderConfirmed, Topic::OrderCancelled];
    let bounds = bounds::bounds(&consumer, topics.map(Topic::name)).context("the ends of the outcomes")?;
    bounds::assign(&consumer, &bounds, |of| of.high)?;
    Ok(consumer)
}

fn follow(consumer: &BaseConsumer, ends: &Mutex<HashMap<Uuid, End>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let id = message.key().and_then(|key| Uuid::try_parse_ascii(key).ok());
        if let (Some(id), Some(at_ms)) = (id, message.timestamp().to_millis()) {
            let confirmed = message.topic() == Topic::OrderConfirmed.name();
            ends.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(id)
                .or_insert(End { at_ms, confirmed });
        }
    }
}
