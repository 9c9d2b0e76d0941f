#!/usr/bin/env bash
# rdkafka 0.39.0 (librdkafka 2.12.1): the outcome of an asynchronous manual commit is reported to nobody.
#
# ConsumerContext::commit_callback is documented as what is called when a commit is done, and consumers enable the event for it.
# A commit by Consumer::commit with CommitMode::Async never gets there, whether the broker has taken it or refused it: the
# call goes to rd_kafka_commit, which posts an outcome only where a native callback is configured. A consumer that takes the
# callback as the sign that a commit is done waits for ever, or commits the same again for ever. Seen: the broker has the offset, the
# consumer is polled for five seconds more, and the callback was not called; a synchronous commit is not reported to it either.
#
# Known upstream as fede1024/rust-rdkafka#856. Needs cargo, a C compiler, make and the crates.io registry; some minutes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
rdkafka = { version = "=0.39.0", default-features = false }
rdkafka-sys = "=4.10.0"
TOML
cat >src/main.rs <<'RUST'
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

static CALLED: AtomicU32 = AtomicU32::new(0);

struct Counting;

impl ClientContext for Counting {}

impl ConsumerContext for Counting {
    fn commit_callback(&self, _: KafkaResult<()>, _: &TopicPartitionList) {
        CALLED.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(consumer: &BaseConsumer<Counting>, length: Duration) {
    let end = Instant::now() + length;
    while Instant::now() < end {
        consumer.poll(Duration::from_millis(100));
    }
}

fn main() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let producer: BaseProducer = config.create().unwrap();
    producer.send(BaseRecord::to("t").key("k").payload("v")).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
    config.set("group.id", "g").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer<Counting> = config.create_with_context(Counting).unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let begin = Instant::now();
    while !consumer.poll(Duration::from_millis(100)).is_some_and(|read| read.is_ok()) {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing is read");
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(1)).unwrap();
    consumer.commit(&list, CommitMode::Async).unwrap();
    poll(&consumer, Duration::from_secs(5));
    let taken = consumer.committed(Duration::from_secs(10)).unwrap();
    let asynchronous = CALLED.load(Ordering::SeqCst);
    consumer.commit(&list, CommitMode::Sync).unwrap();
    poll(&consumer, Duration::from_secs(5));
    let both = CALLED.load(Ordering::SeqCst);
    println!("the group has {:?}; called {asynchronous} times, and {both} after a synchronous commit", taken.elements()[0].offset());
    assert_eq!(taken.elements()[0].offset(), Offset::Offset(1), "not taken at all");
    assert_eq!((asynchronous, both), (0, 0), "changed: the callback is called");
}
RUST
cargo run --quiet
