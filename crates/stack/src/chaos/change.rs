//! Changes that an operator makes to the topics while everything runs.

use std::time::{Duration, Instant};

use contracts::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::books::topics;
use crate::error::{Error, Result};
use crate::kafka::client;

const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE))
}

/// How many partitions each topic of events has; the topics of dead letters are left out.
async fn counts(brokers: &str) -> Result<Vec<(Topic, usize)>> {
    let layout = topics::layout(brokers).await?;
    let events = Topic::ALL.into_iter().filter(|topic| !topic.is_dead_letter());
    let count = |topic| layout.iter().filter(|(of, _)| *of == topic).count();
    Ok(events.map(|topic| (topic, count(topic))).collect())
}

/// The most partitions that a topic of events has.
///
/// # Errors
/// When Kafka does not answer.
pub async fn partitions(brokers: &str) -> Result<usize> {
    let counts = counts(brokers).await?.into_iter();
    Ok(counts.map(|(_, count)| count).max().unwrap_or_default())
}

/// Gives every topic of events so many partitions more.
///
/// # Errors
/// When Kafka does not answer or refuses.
pub async fn add_partitions(brokers: &str, more: usize) -> Result<()> {
    let wanted: Vec<(Topic, usize)> = counts(brokers)
        .await?
        .into_iter()
        .map(|(topic, count)| (topic, count.saturating_add(more)))
        .collect();
    let partitions: Vec<NewPartitions<'_>> = wanted
        .iter()
        .map(|(topic, count)| NewPartitions::new(topic.name(), *count))
        .collect();
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    for result in admin.create_partitions(&partitions, &options()).await? {
        result.map_err(|(topic, code)| Error::Invalid(format!("{topic} gets no partitions: {code}")))?;
    }
    Ok(())
}

/// Deletes a topic with all that is on it.
///
/// # Errors
/// When Kafka does not answer or refuses.
pub async fn delete_topic(brokers: &str, topic: Topic) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    for result in admin.delete_topics(&[topic.name()], &options()).await? {
        result.map_err(|(topic, code)| Error::Invalid(format!("{topic} is not deleted: {code}")))?;
    }
    Ok(())
}

/// Makes a topic that was deleted anew. While Kafka is not done with the old one it says that the topic exists.
///
/// # Errors
/// When Kafka does not answer, or refuses for another reason or for too long.
pub async fn make_topic(brokers: &str, topic: Topic, partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    let new = NewTopic::new(topic.name(), partitions, TopicReplication::Fixed(1));
    let begin = Instant::now();
    loop {
        let results = admin.create_topics([&new], &options()).await?;
        let Some(Err((topic, code))) = results.into_iter().find(Result::is_err) else {
            return Ok(());
        };
        if begin.elapsed() > PATIENCE {
            return Err(Error::Invalid(format!("{topic} is not made: {code}")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
