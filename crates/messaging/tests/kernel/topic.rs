//! Reads a whole topic, as anybody can.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use stack::kafka::bounds::{self, Bounds};
use stack::kafka::client;

/// A record as it lies in Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) payload: Option<Vec<u8>>,
}

impl Read {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().rev().find(|(found, _)| found == name)?;
        found
            .1
            .as_deref()
            .map(|value| std::str::from_utf8(value).unwrap())
    }

    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let text = |value: &Option<Vec<u8>>| {
            String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned()
        };
        self.headers
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    }

    pub(crate) fn key_text(&self) -> &str {
        std::str::from_utf8(self.key.as_deref().unwrap_or_default()).unwrap()
    }
}

/// How many records of the topic a group has committed.
pub(crate) async fn committed(brokers: &str, group: &str, topic: &str) -> i64 {
    let (brokers, group, topic) = (brokers.to_owned(), group.to_owned(), topic.to_owned());
    let ask = move || {
        let consumer: BaseConsumer = client(&brokers).set("group.id", &group).create().unwrap();
        let mut list = TopicPartitionList::new();
        for bounds in bounds::bounds(&consumer, [&*topic]).unwrap() {
            list.add_partition(&topic, bounds.partition);
        }
        let told = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
        let offsets = told.elements().into_iter().map(|element| match element.offset() {
            Offset::Offset(next) => next,
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => 0,
        });
        offsets.sum()
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// All that is in the topic right now, in the order of its partitions.
pub(crate) async fn read(brokers: &str, topic: &str) -> Vec<Read> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read_blocking(&brokers, &topic))
        .await
        .unwrap()
}

fn read_blocking(brokers: &str, topic: &str) -> Vec<Read> {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "looks-only")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let bounds = bounds::bounds(&consumer, [topic]).unwrap();
    let mut missing: i64 = bounds.iter().map(Bounds::records).sum();
    bounds::assign(&consumer, &bounds, |of| of.low).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut records = Vec::new();
    while missing > 0 {
        assert!(
            Instant::now() < deadline,
            "{missing} records of {topic} do not come"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.unwrap();
        missing -= 1;
        let headers = message.headers().map(|headers| {
            let owned = |header: rdkafka::message::Header<'_, &[u8]>| {
                (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
            };
            headers.iter().map(owned).collect()
        });
        records.push(Read {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap(),
            key: message.key().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            payload: message.payload().map(<[u8]>::to_vec),
        });
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}
