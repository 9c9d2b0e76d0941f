//! Producing records and sorting out what became of each.
//!
//! A key's records are sent one after the other, each when Kafka has acknowledged the one before it: a batch that is
//! refused holds nobody's later record, and none was let past it. librdkafka could not promise that by itself: it refuses a batch
//! whole and goes on with the next one, which may hold later records of the same keys.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::answer::Refusal;
use super::flight::{Answered, Flight, Lanes};
use super::holds::{Decision, Holds};
use super::session::Row;
use crate::Failure;
use crate::broker::{ProducerWatch, SharedProducer, producer_config};
use crate::settings::MessagingSettings;

/// How long a stop waits for acknowledgements under way.
const GRACE: Duration = Duration::from_secs(2);

/// How long the broker has to tell whether a topic is there.
const ASK_PATIENCE: Duration = Duration::from_secs(1);

/// What became of the records that were answered in a round.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Ids that Kafka has.
    pub(super) acknowledged: Vec<i64>,
    /// Dead letters that those make good: publications that were replayed.
    pub(super) made_good: Vec<Uuid>,
    /// Rows that Kafka will never take, and why.
    pub(super) refused: Vec<(Row, Failure)>,
    /// How many records' batches were refused, so that they were sent again.
    pub(super) doubted: usize,
    /// Topics that have begun to refuse every record.
    pub(super) held: Vec<String>,
    /// Topics that take records again.
    pub(super) released: Vec<String>,
    /// Why the rest is not on Kafka yet.
    pub(super) trouble: Option<KafkaError>,
    /// Acknowledged records a topic.
    pub(super) topics: HashMap<String, u64>,
}

impl Published {
    fn acknowledge(&mut self, row: Row) {
        self.acknowledged.push(row.id);
        self.made_good.extend(row.work_id);
        *self.topics.entry(row.topic).or_default() += 1;
    }

    /// The first says why, the others are held up by it.
    fn interrupted(&mut self, row: &Row, error: KafkaError) {
        if self.trouble.is_none() {
            warn!(kafka.topic = row.topic, event.id = %row.event_id, error = %error, "record not delivered");
            self.trouble = Some(error);
        }
    }
}

pub(crate) struct Publisher {
    config: ClientConfig,
    producer: SharedProducer,
    flight: Flight,
    holds: Holds,
    /// How long a round lasts: what is not answered by then stays under way.
    round: Duration,
    /// Without any answer for so long, it is better to start over …
    patience: Duration,
    /// … or without that of one record, though others are answered.
    longest: Duration,
}

impl Publisher {
    pub(crate) fn new(brokers: &str, settings: &MessagingSettings) -> KafkaResult<Self> {
        let config = producer_config(brokers, settings);
        let producer = SharedProducer::new(producer(&config)?);
        let patience = Duration::from_millis(settings.delivery_timeout_ms);
        Ok(Self {
            config,
            producer,
            flight: Flight::default(),
            holds: Holds::new(settings),
            round: Duration::from_millis(settings.relay_round_ms),
            patience,
            longest: patience.max(Duration::from_millis(settings.refusal_retry_ms)),
        })
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_empty()
    }

    /// Topics whose rows wait: those that refuse, and those of records that Kafka has not answered. Nothing of a key that
    /// has a row there may be sent.
    pub(super) fn waiting(&self) -> Vec<String> {
        let mut topics: HashSet<&str> = self.flight.topics();
        topics.extend(self.holds.waiting(Instant::now()));
        topics.into_iter().map(str::to_owned).collect()
    }

    /// Makes librdkafka look whether topics that refused are there now: it believes for long that they are not.
    pub(super) async fn look_again(&mut self) {
        for topic in self.holds.due(Instant::now()) {
            let producer = self.producer.get();
            let asked = tokio::task::spawn_blocking(move || {
                drop(producer.client().fetch_metadata(Some(&topic), ASK_PATIENCE));
            });
            drop(asked.await);
        }
    }

    /// Sends `rows` in order, none past another of its key, and takes in the answers that come within the round, also to
    /// what was under way before; but not for long beyond `stop`.
    pub(super) async fn publish(&mut self, rows: Vec<Row>, stop: &CancellationToken) -> Published {
        let mut published = Published::default();
        let (heads, mut lanes) = Lanes::of(rows);
        let (begin, mut doubtful) = (Instant::now(), Vec::new());
        chassis::crossing!("relay.scanned");
        for row in heads {
            if !self.send(row, &mut published) {
                break;
            }
        }
        chassis::crossing!("relay.produced");
        while let Some((row, answer)) = self.answer(&published, stop).await {
            let Err(error) = answer else {
                let next = row.key.as_deref().and_then(|key| lanes.next(key));
                self.acknowledge(row, &mut published);
                if let Some(next) = next
                    && begin.elapsed() < self.round
                    && published.trouble.is_none()
                {
                    self.send(next, &mut published);
                }
                continue;
            };
            match Refusal::reported(&error) {
                Some(Refusal::Batch) => doubtful.push(row),
                refusal => self.refuse(row, refusal, error, &mut published),
            }
        }
        self.judge(doubtful, &mut published, stop).await;
        if self.flight.is_stuck(self.patience, self.longest) && published.trouble.is_none() {
            let silence = KafkaError::MessageProduction(RDKafkaErrorCode::OperationTimedOut);
            warn!(topics = ?self.flight.topics(), "kafka does not answer");
            published.trouble = Some(silence);
        }
        published
    }

    /// Finds out which of `doubtful`, whose batches were refused, are bad: together they are sent again in ever smaller
    /// groups, with nothing else of their topics under way, until those that are refused were alone. They are of
    /// different keys, and no later record of those is sent meanwhile.
    async fn judge(&mut self, mut doubtful: Vec<Row>, published: &mut Published, stop: &CancellationToken) {
        let busy = self.flight.topics();
        // they are in the outbox, and come again
        doubtful.retain(|row| !busy.contains(row.topic.as_str()));
        published.doubted = doubtful.len();
        let mut groups = halves(doubtful);
        while let Some(group) = groups.pop() {
            match self.ask(group, published, stop).await {
                Some(refused) => groups.extend(halves(refused)),
                None => return,
            }
        }
    }

    /// Those of `group` whose batch is refused; none when not all were answered.
    async fn ask(
        &mut self,
        group: Vec<Row>,
        published: &mut Published,
        stop: &CancellationToken,
    ) -> Option<Vec<Row>> {
        let (alone, mut asked, mut refused) = (group.len() == 1, HashSet::new(), Vec::new());
        for row in group {
            if published.trouble.is_some() || stop.is_cancelled() {
                return None;
            }
            let id = row.id;
            self.send(row, published).then_some(())?;
            if self.flight.contains(id) {
                asked.insert(id);
            }
        }
        while !asked.is_empty() {
            // records of other topics that were under way before are answered here too
            let (row, answer) = self.answer(published, stop).await?;
            let of_group = asked.remove(&row.id);
            match answer {
                Ok(()) => self.acknowledge(row, published),
                Err(error) if alone && of_group => {
                    let refusal = Refusal::alone(&error);
                    self.refuse(row, refusal, error, published);
                }
                Err(error) => match Refusal::reported(&error) {
                    Some(Refusal::Batch) if of_group => refused.push(row),
                    Some(Refusal::Batch) => {}
                    refusal => self.refuse(row, refusal, error, published),
                },
            }
        }
        Some(refused)
    }

    fn acknowledge(&mut self, row: Row, published: &mut Published) {
        if self.holds.acknowledged(&row.topic) {
            info!(kafka.topic = row.topic, "the topic takes records again");
            published.released.push(row.topic.clone());
        }
        published.acknowledge(row);
    }

    fn refuse(&mut self, row: Row, refusal: Option<Refusal>, error: KafkaError, published: &mut Published) {
        match refusal {
            Some(Refusal::Record(failure)) => published.refused.push((row, failure)),
            Some(Refusal::Topic(failure)) => self.hold(row, failure, published),
            Some(Refusal::Batch) | None => published.interrupted(&row, error),
        }
    }

    fn hold(&mut self, row: Row, failure: Failure, published: &mut Published) {
        if !self.holds.contains(&row.topic) {
            warn!(kafka.topic = row.topic, error = %failure, "the topic refuses records, which are tried again");
            published.held.push(row.topic.clone());
        }
        match self.holds.refused(&row.topic, Instant::now()) {
            Decision::Wait => {}
            Decision::GiveUp => published.refused.push((row, failure)),
        }
    }

    /// The next answer within the round; once there is trouble, only one that is there already.
    async fn answer(&mut self, published: &Published, stop: &CancellationToken) -> Option<Answered> {
        if published.trouble.is_some() {
            return self.flight.answer().now_or_never().flatten();
        }
        tokio::select! {
            biased;
            answered = self.flight.answer() => answered,
            () = tokio::time::sleep(self.round) => None,
            () = stopped_for(stop, GRACE) => None,
        }
    }

    /// False when no more can be sent now: what follows would overtake this one, or there is no room.
    fn send(&mut self, row: Row, published: &mut Published) -> bool {
        match self.produce(&row) {
            Ok(delivery) => self.flight.add(row, delivery),
            Err(error) if is_full(&error) && !self.flight.is_empty() => return false,
            Err(error) => {
                let refusal = Refusal::alone(&error);
                self.refuse(row, refusal, error, published);
            }
        }
        published.trouble.is_none()
    }

    fn produce(&self, row: &Row) -> KafkaResult<DeliveryFuture> {
        let headers: OwnedHeaders = row.headers().to_kafka();
        let mut record: FutureRecord<'_, Vec<u8>, Vec<u8>> = FutureRecord::to(&row.topic).headers(headers);
        if let Some(key) = &row.key {
            record = record.key(key);
        }
        if let Some(payload) = &row.payload {
            record = record.payload(payload);
        }
        self.producer
            .get()
            .send_result(record)
            .map_err(|(error, _)| error)
    }

    /// Starts over with a new client. What the old one had been given but not got acknowledged is dropped with it
    /// (the rows are still in the outbox), and so is whatever state it was in: some errors of an idempotent producer
    /// are its last.
    pub(super) fn renew(&mut self) -> KafkaResult<()> {
        let old = self.producer.replace(producer(&self.config)?);
        self.flight = Flight::default();
        close(old);
        Ok(())
    }

    /// Starts over when the producer is known to make no progress.
    pub(super) fn renew_if_spent(&mut self) -> KafkaResult<()> {
        if self.producer.is_spent() {
            self.renew()?;
        }
        Ok(())
    }

    /// The producer, for whoever asks the broker through it.
    pub(crate) fn producer(&self) -> SharedProducer {
        self.producer.clone()
    }

    pub(super) fn close(self) {
        close(self.producer.get());
    }
}

/// Two groups, of which the second has the lower ids; fewer when there are not enough.
fn halves(mut rows: Vec<Row>) -> Vec<Vec<Row>> {
    rows.sort_unstable_by_key(|row| row.id);
    let later = rows.split_off(rows.len().div_ceil(2));
    [later, rows]
        .into_iter()
        .filter(|half| !half.is_empty())
        .collect()
}

fn producer(config: &ClientConfig) -> KafkaResult<FutureProducer<ProducerWatch>> {
    config.create_with_context(ProducerWatch)
}

/// Closing blocks for up to half a second. What is still queued is dropped first: whoever asks the broker through this
/// client may hold it for a while, and it must not publish what its successor has published.
fn close(producer: FutureProducer<ProducerWatch>) {
    producer.purge(PurgeConfig::default().queue().inflight());
    drop(tokio::task::spawn_blocking(move || drop(producer)));
}

fn is_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

/// Ends a grace time after `stop`.
async fn stopped_for(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}
