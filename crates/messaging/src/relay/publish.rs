//! Producing a batch and sorting out what became of each record.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::session::Row;
use crate::Failure;
use crate::broker::{BrokerState, ProducerWatch, producer_config};
use crate::settings::MessagingSettings;

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Ids that Kafka has.
    pub(super) acknowledged: Vec<i64>,
    /// Rows that Kafka will never take, and why.
    pub(super) refused: Vec<(Row, Failure)>,
    /// Why the rest is not on Kafka yet.
    pub(super) trouble: Option<KafkaError>,
    /// Acknowledged records a topic.
    pub(super) topics: HashMap<String, u64>,
}

pub(crate) struct Publisher {
    producer: FutureProducer<ProducerWatch>,
}

impl Publisher {
    pub(crate) fn new(brokers: &str, settings: &MessagingSettings, state: BrokerState) -> KafkaResult<Self> {
        let producer = producer_config(brokers, settings).create_with_context(ProducerWatch { state })?;
        Ok(Self { producer })
    }

    /// Produces all of `rows` in order and waits for every answer, but not beyond `stop`.
    pub(super) async fn publish(&self, rows: Vec<Row>, stop: &CancellationToken) -> Published {
        let mut published = Published::default();
        let mut sent: Vec<(Row, DeliveryFuture)> = Vec::with_capacity(rows.len());
        for row in rows {
            match self.send(&row) {
                Ok(delivery) => sent.push((row, delivery)),
                Err(error) => match refusal(&error) {
                    Some(failure) => published.refused.push((row, failure)),
                    None => {
                        // what follows would overtake this one
                        published.trouble = Some(error);
                        break;
                    }
                },
            }
        }
        let (rows, deliveries): (Vec<Row>, Vec<DeliveryFuture>) = sent.into_iter().unzip();
        let answers = tokio::select! {
            answers = join_all(deliveries) => answers,
            () = stopped_for(stop, Duration::from_secs(2)) => return published,
        };
        for (row, answer) in rows.into_iter().zip(answers) {
            published.note(
                row,
                answer.map(|delivery| delivery.map(drop).map_err(|(error, _)| error)),
            );
        }
        published
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
        self.producer.send_result(record).map_err(|(error, _)| error)
    }

    /// Drops what has been handed to librdkafka but not acknowledged: the rows are still in the outbox.
    pub(super) fn forget_in_flight(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}

impl Published {
    fn note<E>(&mut self, row: Row, answer: Result<Result<(), KafkaError>, E>) {
        match answer {
            Ok(Ok(())) => {
                self.acknowledged.push(row.id);
                *self.topics.entry(row.topic).or_default() += 1;
            }
            Ok(Err(error)) => match refusal(&error) {
                Some(failure) => self.refused.push((row, failure)),
                None => {
                    warn!(kafka.topic = row.topic, event.id = %row.event_id, error = %error, "record not delivered");
                    self.trouble.get_or_insert(error);
                }
            },
            Err(_cancelled) => {
                self.trouble.get_or_insert(KafkaError::Canceled);
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

/// Ends a grace time after `stop`.
async fn stopped_for(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}
