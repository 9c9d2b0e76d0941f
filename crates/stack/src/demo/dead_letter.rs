//! Reads a dead letter back from Kafka.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use contracts::Topic;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use stack::kafka::bounds;
use stack::kafka::client;

/// A record of a dead-letter topic.
#[derive(Debug)]
pub(super) struct DeadLetter {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) headers: Vec<(String, String)>,
    pub(super) payload: String,
}

impl DeadLetter {
    /// A header, empty when it is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    }
}

/// A consumer that stands at the end of a topic.
pub(super) struct Watch {
    consumer: BaseConsumer,
}

impl Watch {
    /// Goes to the end of `topic` as it is now.
    pub(super) async fn begin(brokers: &str, topic: Topic) -> anyhow::Result<Self> {
        let brokers = brokers.to_owned();
        tokio::task::spawn_blocking(move || Self::at_end(&brokers, topic)).await?
    }

    fn at_end(brokers: &str, topic: Topic) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = client(brokers)
            .set("group.id", "demo")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create()?;
        let bounds = bounds::bounds(&consumer, [topic.name()]).context("the ends of a topic")?;
        bounds::assign(&consumer, &bounds, |of| of.high)?;
        Ok(Self { consumer })
    }

    /// Waits for a record with this key.
    pub(super) async fn find(self, key: &str, patience: Duration) -> anyhow::Result<DeadLetter> {
        let key = key.to_owned();
        tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                let Some(message) = self.consumer.poll(Duration::from_millis(200)) else {
                    continue;
                };
                let message = message?;
                if message.key() == Some(key.as_bytes()) {
                    return Ok(read(&message));
                }
            }
            bail!("no dead letter of {key} within {patience:?}")
        })
        .await?
    }
}

fn read(message: &BorrowedMessage<'_>) -> DeadLetter {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), text(header.value)))
            .collect::<Vec<_>>()
    });
    DeadLetter {
        partition: message.partition(),
        offset: message.offset(),
        headers: headers.unwrap_or_default(),
        payload: text(message.payload()),
    }
}
