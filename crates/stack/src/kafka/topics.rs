//! Creates the platform's topics with declared partitions, replication, retention and limits, and fits those that are
//! there to what the services rely on.

use std::time::Duration;

use contracts::Topic;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use super::{blocking, client};
use crate::error::{Error, Result};

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

const RETENTION: &str = "retention.ms";
const SEGMENT: &str = "segment.ms";
const MAX_BYTES: &str = "max.message.bytes";
const MIN_INSYNC: &str = "min.insync.replicas";

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
    /// Hours that one segment of a topic holds: records leave with their segment, so the topic keeps them for retention
    /// and this. Together less than the services' `messaging.dedupe_retention_days` (14)
    #[arg(long, default_value_t = 24, value_name = "HOURS")]
    pub segment_hours: u64,
    /// Largest batch of records in bytes. The services' `messaging.record_max_bytes` (1000000) and 1024 fit into it
    #[arg(long, default_value_t = 1_048_588, value_name = "BYTES")]
    pub max_message_bytes: u64,
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
            segment_hours: 24,
            max_message_bytes: 1_048_588,
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

    /// What `topic` is made with.
    fn settings_of(&self, topic: Topic) -> [(&'static str, u64); 4] {
        [
            (RETENTION, self.retention_ms_of(topic)),
            (SEGMENT, self.segment_hours * HOUR_MS),
            (MAX_BYTES, self.max_message_bytes),
            (MIN_INSYNC, u64::try_from(self.min_insync).unwrap_or_default()),
        ]
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
    /// Settings of topics that were there and are changed, since services rely on them: longer segments than declared
    /// are shortened, smaller batches than declared are allowed.
    pub altered: Vec<Setting>,
    /// Settings of topics that were there and differ from what is declared. They are left alone: they are an
    /// operator's to decide.
    pub deviating: Vec<Setting>,
}

/// A setting of a topic that is not as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The topic.
    pub topic: &'static str,
    /// The setting's name in Kafka.
    pub name: &'static str,
    /// Its value as found.
    pub found: String,
    /// Its value as declared.
    pub declared: u64,
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            topic,
            name,
            found,
            declared,
        } = self;
        write!(f, "{topic} {name} {found}, declared {declared}")
    }
}

/// Creates the topics that are missing, and fits those that are there.
pub async fn ensure(bootstrap: &str, plan: &Plan) -> Result<Report> {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create()?;
    let mut report = create(&admin, plan).await?;
    fit(&admin, plan, &mut report).await?;
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

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(30)))
        .operation_timeout(Some(Duration::from_secs(20)))
}

async fn create(admin: &AdminClient<DefaultClientContext>, plan: &Plan) -> Result<Report> {
    let wanted: Vec<(Topic, Vec<(&str, String)>)> = Topic::ALL
        .into_iter()
        .map(|topic| {
            let settings = plan.settings_of(topic).into_iter();
            let texts = settings.map(|(name, value)| (name, value.to_string()));
            (topic, texts.collect())
        })
        .collect();
    let topics: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|(topic, settings)| {
            let partitions = plan.partitions_of(*topic);
            let new = NewTopic::new(
                topic.name(),
                partitions,
                TopicReplication::Fixed(plan.replication),
            );
            settings
                .iter()
                .fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let results = admin.create_topics(&topics, &options()).await?;
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
    Ok(report)
}

/// Compares the topics that were there with what is declared, and changes what services rely on.
async fn fit(admin: &AdminClient<DefaultClientContext>, plan: &Plan, report: &mut Report) -> Result<()> {
    if report.present.is_empty() {
        return Ok(());
    }
    let names: Vec<ResourceSpecifier<'_>> = report
        .present
        .iter()
        .map(|name| ResourceSpecifier::Topic(name))
        .collect();
    for described in admin.describe_configs(&names, &options()).await? {
        let described = described.map_err(|code| Error::Invalid(format!("a topic's settings: {code}")))?;
        let OwnedResourceSpecifier::Topic(name) = &described.specifier else {
            continue;
        };
        let Ok(topic) = name.parse::<Topic>() else {
            continue;
        };
        let (relied_on, others) = compare(plan, topic, &described);
        if !relied_on.is_empty() {
            alter(admin, topic, &described, &relied_on).await?;
        }
        report.altered.extend(relied_on);
        report.deviating.extend(others);
    }
    Ok(())
}

/// What services rely on and does not hold, and what else differs.
fn compare(plan: &Plan, topic: Topic, described: &ConfigResource) -> (Vec<Setting>, Vec<Setting>) {
    let (mut relied_on, mut others) = (Vec::new(), Vec::new());
    for (name, declared) in plan.settings_of(topic) {
        let Some(found) = described.get(name).and_then(|entry| entry.value.clone()) else {
            continue;
        };
        let value: i128 = found.parse().unwrap_or(-1);
        let setting = Setting {
            topic: topic.name(),
            name,
            found,
            declared,
        };
        let declared = i128::from(declared);
        match name {
            SEGMENT if value > declared => relied_on.push(setting),
            MAX_BYTES if value < declared => relied_on.push(setting),
            _ if value != declared => others.push(setting),
            _ => {}
        }
    }
    (relied_on, others)
}

/// librdkafka's call replaces all settings of a topic, so those that it has of its own are said again.
async fn alter(
    admin: &AdminClient<DefaultClientContext>,
    topic: Topic,
    described: &ConfigResource,
    changes: &[Setting],
) -> Result<()> {
    let declared: Vec<(&str, String)> = changes
        .iter()
        .map(|change| (change.name, change.declared.to_string()))
        .collect();
    let own = described.entries.iter().filter_map(|entry| {
        let value = entry.value.as_deref()?;
        (entry.source == ConfigSource::DynamicTopic).then_some((entry.name.as_str(), value))
    });
    let all = own.chain(declared.iter().map(|(name, value)| (*name, value.as_str())));
    let unchanged = AlterConfig::new(ResourceSpecifier::Topic(topic.name()));
    let change = all.fold(unchanged, |change, (name, value)| change.set(name, value));
    for result in admin.alter_configs([&change], &options()).await? {
        result.map_err(|(_, code)| Error::Invalid(format!("topic {topic} cannot be altered: {code}")))?;
    }
    Ok(())
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
