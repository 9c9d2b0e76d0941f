//! Creates the platform's topics with declared partitions, replication and retention.

use std::time::Duration;

use contracts::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use super::{blocking, client};
use crate::error::{Error, Result};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How topics are made.
#[derive(Debug, Clone, clap::Args)]
pub struct Plan {
    /// Partitions of a topic of facts
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub partitions: i32,
    /// Partitions of a topic of dead letters
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub dead_letter_partitions: i32,
    /// Copies of each partition
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub replication: i32,
    /// Copies that must have a record before it counts as written
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub min_insync: i32,
    /// Retention of facts in days
    #[arg(long, default_value_t = 7, value_name = "DAYS")]
    pub retention_days: u64,
    /// Retention of dead letters in days
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    pub dead_letter_retention_days: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            partitions: 6,
            dead_letter_partitions: 1,
            replication: 1,
            min_insync: 1,
            retention_days: 7,
            dead_letter_retention_days: 30,
        }
    }
}

impl Plan {
    /// Partitions declared for `topic`.
    pub fn partitions_of(&self, topic: Topic) -> i32 {
        if topic.is_dead_letter() {
            self.dead_letter_partitions
        } else {
            self.partitions
        }
    }

    fn retention_ms_of(&self, topic: Topic) -> u64 {
        let days = if topic.is_dead_letter() {
            self.dead_letter_retention_days
        } else {
            self.retention_days
        };
        days * DAY_MS
    }
}

/// What [`ensure`] found and did.
#[derive(Debug, Default)]
pub struct Report {
    /// Topics that were made.
    pub created: Vec<&'static str>,
    /// Topics that were there.
    pub present: Vec<&'static str>,
    /// Topics that are there with another number of partitions than declared, and that number. They are left
    /// alone: more partitions would move keys, and with them the order of an aggregate's events.
    pub different: Vec<(&'static str, usize)>,
}

/// Creates the topics that are missing.
pub async fn ensure(bootstrap: &str, plan: &Plan) -> Result<Report> {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create()?;
    let min_insync = plan.min_insync.to_string();
    let wanted: Vec<(Topic, String)> = Topic::ALL
        .into_iter()
        .map(|topic| (topic, plan.retention_ms_of(topic).to_string()))
        .collect();
    let topics: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|(topic, retention_ms)| {
            NewTopic::new(
                topic.name(),
                plan.partitions_of(*topic),
                TopicReplication::Fixed(plan.replication),
            )
            .set("retention.ms", retention_ms)
            .set("min.insync.replicas", &min_insync)
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(30)))
        .operation_timeout(Some(Duration::from_secs(20)));
    let results = admin.create_topics(&topics, &options).await?;
    let mut report = Report::default();
    for ((topic, _), result) in wanted.iter().zip(results) {
        match result {
            Ok(_) => report.created.push(topic.name()),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => report.present.push(topic.name()),
            Err((name, code)) => {
                return Err(Error::Invalid(format!("topic {name} cannot be created: {code}")));
            }
        }
    }
    let metadata = blocking(move || admin.inner().fetch_metadata(None, Duration::from_secs(10))).await??;
    for topic in metadata.topics() {
        let Ok(known) = topic.name().parse::<Topic>() else {
            continue;
        };
        let found = topic.partitions().len();
        if usize::try_from(plan.partitions_of(known)) != Ok(found) {
            report.different.push((known.name(), found));
        }
    }
    Ok(report)
}

/// Makes a topic and writes to it, so that the broker has loaded the classes that serve clients.
pub(super) async fn exercise(bootstrap: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create()?;
    let topic = NewTopic::new("warmup", 1, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await?;
    let producer: FutureProducer = client(bootstrap).set("enable.idempotence", "true").create()?;
    let record = FutureRecord::<str, str>::to("warmup").payload("warm");
    producer
        .send(record, Duration::from_secs(10))
        .await
        .map_err(|(error, _)| error)?;
    Ok(())
}
