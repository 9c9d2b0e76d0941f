//! The private broker, on real Apache Kafka.

use std::time::{Duration, Instant};

use contracts::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use stack::kafka::{Kafka, Options, client, topics};

async fn send(bootstrap: &str, payload: &str) {
    let producer: FutureProducer = client(bootstrap)
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    let record = FutureRecord::to(Topic::OrderCreated.name())
        .key("key")
        .payload(payload);
    producer.send(record, Duration::from_secs(20)).await.unwrap();
}

fn read(bootstrap: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&[Topic::OrderCreated.name()]).unwrap();
    let mut payloads = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while payloads.len() < count {
        assert!(Instant::now() < deadline, "only {payloads:?} in time");
        // A poll also ends with nothing after a rebalance.
        let Some(message) = consumer.poll(Duration::from_secs(1)) else {
            continue;
        };
        let message = message.unwrap();
        payloads.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
    }
    payloads
}

/// A topic that was made with Kafka's own segments and smaller batches than the services send.
async fn an_older_topic_is_fitted(bootstrap: &str, plan: &topics::Plan) {
    let name = Topic::OrderCreated.name();
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create().unwrap();
    let older = AlterConfig::new(ResourceSpecifier::Topic(name))
        .set("retention.ms", "172800000")
        .set("segment.ms", "604800000")
        .set("max.message.bytes", "20000")
        .set("compression.type", "gzip");
    admin.alter_configs([&older], &AdminOptions::new()).await.unwrap();
    let settings = async || {
        let (topic, options) = (ResourceSpecifier::Topic(name), AdminOptions::new());
        let described = admin.describe_configs([&topic], &options);
        let described = described.await.unwrap().remove(0).unwrap();
        [
            "retention.ms",
            "segment.ms",
            "max.message.bytes",
            "compression.type",
        ]
        .map(|name| described.get(name).unwrap().value.clone().unwrap())
    };
    // the broker takes notice in its own time
    let deadline = Instant::now() + Duration::from_secs(30);
    while settings().await[1] != "604800000" {
        assert!(Instant::now() < deadline, "the topic is not altered");
    }
    let report = topics::ensure(bootstrap, plan).await.unwrap();
    let told =
        |settings: &[topics::Setting]| -> Vec<String> { settings.iter().map(ToString::to_string).collect() };
    assert_eq!(
        told(&report.altered),
        [
            "order.created segment.ms 604800000, declared 86400000",
            "order.created max.message.bytes 20000, declared 1048588"
        ]
    );
    assert_eq!(
        told(&report.deviating),
        ["order.created retention.ms 172800000, declared 604800000"]
    );
    while settings().await != ["172800000", "86400000", "1048588", "gzip"] {
        assert!(
            Instant::now() < deadline,
            "the topic is not fitted: {:?}",
            settings().await
        );
    }
    let report = topics::ensure(bootstrap, plan).await.unwrap();
    assert!(report.altered.is_empty(), "{:?}", report.altered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_keeps_its_topics_and_records_through_kill_9_and_restart() {
    let directory = stack::temporary().unwrap();
    let (port, controller) = (stack::ports::lease().unwrap(), stack::ports::lease().unwrap());
    let options = Options::new(directory.path().join("kafka"), port.port(), controller.port());
    let begin = Instant::now();
    let mut kafka = Kafka::start(options).await.unwrap();
    println!("started in {:?}", begin.elapsed());
    let bootstrap = kafka.bootstrap().to_owned();

    let plan = topics::Plan::default();
    let report = topics::ensure(&bootstrap, &plan).await.unwrap();
    assert_eq!(report.created.len(), Topic::ALL.len());
    an_older_topic_is_fitted(&bootstrap, &plan).await;
    let report = topics::ensure(
        &bootstrap,
        &topics::Plan {
            dead_letter_partitions: 2,
            ..plan
        },
    )
    .await
    .unwrap();
    assert_eq!(report.present.len(), Topic::ALL.len());
    assert_eq!(report.different.len(), 5, "{:?}", report.different);

    send(&bootstrap, "before the crash").await;
    let begin = Instant::now();
    kafka.kill9().await;
    kafka.restart().await.unwrap();
    send(&bootstrap, "after the crash").await;
    println!("back after kill -9 in {:?}", begin.elapsed());
    let begin = Instant::now();
    kafka.stop().await;
    println!("stopped in {:?}", begin.elapsed());
    kafka.restart().await.unwrap();
    println!("restarted {:?}", begin.elapsed());
    send(&bootstrap, "after the stop").await;
    println!("back after stop in {:?}", begin.elapsed());
    let read = tokio::task::spawn_blocking(move || read(&bootstrap, 3))
        .await
        .unwrap();
    assert_eq!(read, ["before the crash", "after the crash", "after the stop"]);
}

#[tokio::test]
async fn a_topic_that_nobody_declared_is_not_made() {
    let directory = stack::temporary().unwrap();
    let (port, controller) = (stack::ports::lease().unwrap(), stack::ports::lease().unwrap());
    let kafka = Kafka::start(Options::new(
        directory.path().join("kafka"),
        port.port(),
        controller.port(),
    ))
    .await
    .unwrap();
    let producer: FutureProducer = client(kafka.bootstrap())
        .set("message.timeout.ms", "3000")
        .create()
        .unwrap();
    let record = FutureRecord::<str, str>::to("order.craeted").payload("lost");
    assert!(producer.send(record, Duration::from_secs(5)).await.is_err());
}
