//! Producing a batch and sorting out what became of each record.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::session::Row;
use crate::Failure;
use crate::broker::{ProducerWatch, SharedProducer, producer_config};
use crate::settings::MessagingSettings;

/// How long a stop waits for acknowledgements under way.
const GRACE: Duration = Duration::from_secs(2);

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Ids that Kafka has.
    pub(super) acknowledged: Vec<i64>,
    /// Dead letters that those make good: publications that were replayed.
    pub(super) made_good: Vec<Uuid>,
    /// Rows that Kafka will never take, and why.
    pub(super) refused: Vec<(Row, Failure)>,
    /// Why the rest is not on Kafka yet.
    pub(super) trouble: Option<KafkaError>,
    /// Acknowledged records a topic.
    pub(super) topics: HashMap<String, u64>,
}

pub(crate) struct Publisher {
    config: ClientConfig,
    producer: SharedProducer,
    /// Without any acknowledgement for so long, it is better to start over.
    patience: Duration,
}

type Answer = Result<(), KafkaError>;

impl Publisher {
    pub(crate) fn new(brokers: &str, settings: &MessagingSettings) -> KafkaResult<Self> {
        let config = producer_config(brokers, settings);
        let producer = SharedProducer::new(producer(&config)?);
        Ok(Self {
            config,
            producer,
            patience: Duration::from_millis(settings.delivery_timeout_ms),
        })
    }

    /// Produces all of `rows` in order and waits for every answer, but not for long beyond `stop`.
    pub(super) async fn publish(&self, rows: Vec<Row>, stop: &CancellationToken) -> Published {
        let mut published = Published::default();
        chassis::crossing!("relay.scanned");
        let sent = self.send_all(rows, &mut published);
        chassis::crossing!("relay.produced");
        let mut too_large = Vec::new();
        for (row, delivery) in sent {
            // once one is not answered, only what has been answered already counts
            let answer = match published.trouble {
                None => self.answer(delivery, stop).await,
                Some(_) => delivery
                    .now_or_never()
                    .map(flat)
                    .unwrap_or(Err(KafkaError::Canceled)),
            };
            match answer {
                Err(error) if is_too_large(&error) => too_large.push(row),
                answer => published.note(row, answer),
            }
        }
        // the broker means the batch that librdkafka had put together: which record is too large shows alone
        for row in too_large {
            if published.trouble.is_some() {
                break;
            }
            let answer = match self.send(&row) {
                Ok(delivery) => self.answer(delivery, stop).await,
                Err(error) => Err(error),
            };
            published.note(row, answer);
        }
        published
    }

    fn send_all(&self, rows: Vec<Row>, published: &mut Published) -> Vec<(Row, DeliveryFuture)> {
        let mut sent = Vec::with_capacity(rows.len());
        for row in rows {
            match self.send(&row) {
                Ok(delivery) => sent.push((row, delivery)),
                // no room for more now: the rest is for the next batch
                Err(error) if is_full(&error) && !sent.is_empty() => break,
                Err(error) => {
                    published.note(row, Err(error));
                    if published.trouble.is_some() {
                        // what follows would overtake this one
                        break;
                    }
                }
            }
        }
        sent
    }

    fn send(&self, row: &Row) -> Result<DeliveryFuture, KafkaError> {
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

    async fn answer(&self, delivery: DeliveryFuture, stop: &CancellationToken) -> Answer {
        tokio::select! {
            biased;
            answer = timeout(self.patience, delivery) => match answer {
                Ok(answer) => flat(answer),
                Err(_elapsed) => Err(KafkaError::MessageProduction(RDKafkaErrorCode::OperationTimedOut)),
            },
            () = stopped_for(stop, GRACE) => Err(KafkaError::Canceled),
        }
    }

    /// Starts over with a new client. What the old one had been given but not got acknowledged is dropped with it
    /// (the rows are still in the outbox), and so is whatever state it was in: some errors of an idempotent producer
    /// are its last.
    pub(super) fn renew(&mut self) -> KafkaResult<()> {
        close(self.producer.replace(producer(&self.config)?));
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

fn producer(config: &ClientConfig) -> KafkaResult<FutureProducer<ProducerWatch>> {
    config.create_with_context(ProducerWatch)
}

/// Closing blocks for up to half a second.
fn close(producer: FutureProducer<ProducerWatch>) {
    drop(tokio::task::spawn_blocking(move || drop(producer)));
}

fn flat<T, M, E>(answer: Result<Result<T, (KafkaError, M)>, E>) -> Answer {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_cancelled) => Err(KafkaError::Canceled),
    }
}

impl Published {
    fn note(&mut self, row: Row, answer: Answer) {
        let Err(error) = answer else {
            self.acknowledged.push(row.id);
            self.made_good.extend(row.work_id);
            *self.topics.entry(row.topic).or_default() += 1;
            return;
        };
        match refusal(&error) {
            Some(failure) => self.refused.push((row, failure)),
            None => {
                // the first says why, the others are held up by it
                if self.trouble.is_none() {
                    warn!(kafka.topic = row.topic, event.id = %row.event_id, error = %error, "record not delivered");
                    self.trouble = Some(error);
                }
            }
        }
    }
}

/// A refusal that no retry will change; anything else is the broker's absence.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a hundred codes, of which these are final"
)]
fn refusal(error: &KafkaError) -> Option<Failure> {
    let code = error.rdkafka_error_code()?;
    let class = match code {
        RDKafkaErrorCode::MessageSizeTooLarge => "record-too-large",
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => "unknown-topic",
        RDKafkaErrorCode::InvalidTopic => "invalid-topic",
        RDKafkaErrorCode::InvalidMessage | RDKafkaErrorCode::InvalidRecord => "invalid-record",
        _ => return None,
    };
    Some(Failure::new(class, error))
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

fn is_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

/// Ends a grace time after `stop`.
async fn stopped_for(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}
