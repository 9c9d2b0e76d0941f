//! Reads every topic from its beginning to the end it has at that moment.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ::books::desk::consumers;
use contracts::Topic;
use futures::future::try_join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};

use super::records::{Begins, Told, written};
use crate::error::{Error, Result};
use crate::kafka::bounds::{Bounds, of_partition};
use crate::kafka::{blocking, client};
use crate::service::Service;

const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing new for so long means that the broker is stuck.
const SILENCE: Duration = Duration::from_secs(30);

/// The offset after the last one committed, by topic and partition.
pub(crate) type Committed = HashMap<(String, i32), i64>;
/// The partitions of all topics.
pub(crate) type Layout = Vec<(Topic, i32)>;

/// Finds the partitions.
pub(crate) async fn layout(brokers: &str) -> Result<Layout> {
    let brokers = brokers.to_owned();
    blocking(move || {
        let consumer = consumer(&brokers, "stack-books")?;
        let metadata = consumer.fetch_metadata(None, PATIENCE)?;
        let mut layout = Layout::new();
        for topic in Topic::ALL {
            let found = metadata
                .topics()
                .iter()
                .find(|found| found.name() == topic.name());
            let partitions = found.map(MetadataTopic::partitions).unwrap_or_default();
            if partitions.is_empty() {
                return Err(Error::Invalid(format!("the broker has no topic {topic}")));
            }
            layout.extend(partitions.iter().map(|partition| (topic, partition.id())));
        }
        Ok(layout)
    })
    .await?
}

/// The offsets that each service has committed.
pub(crate) async fn all_committed(brokers: &str, layout: &Layout) -> Result<Vec<(Service, Committed)>> {
    let of = async |service: Service| Ok((service, committed(brokers, service.name(), layout).await?));
    try_join_all(Service::ALL.map(of)).await
}

/// The offset after the last one that a service has committed, for each partition that it has committed any of.
async fn committed(brokers: &str, service: &str, layout: &Layout) -> Result<Committed> {
    let (brokers, service) = (brokers.to_owned(), service.to_owned());
    let layout: Layout = layout
        .iter()
        .filter(|(topic, _)| consumers(*topic).contains(&service.as_str()))
        .copied()
        .collect();
    blocking(move || {
        if layout.is_empty() {
            return Ok(HashMap::new());
        }
        let consumer = consumer(&brokers, &service)?;
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in layout {
            wanted.add_partition(topic.name(), partition);
        }
        let found = consumer.committed_offsets(wanted, PATIENCE)?;
        let offset = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element
            .offset()
        {
            Offset::Offset(next) => Some(((element.topic().to_owned(), element.partition()), next)),
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => {
                None
            }
        };
        Ok(found.elements().into_iter().filter_map(offset).collect())
    })
    .await?
}

/// The offsets after the last record of each partition.
pub(crate) async fn ends(brokers: &str, layout: &Layout) -> Result<Committed> {
    let (brokers, layout) = (brokers.to_owned(), layout.clone());
    blocking(move || {
        let consumer = consumer(&brokers, "stack-books")?;
        let mut ends = Committed::new();
        for (topic, partition) in layout {
            let high = of_partition(&consumer, topic.name(), partition)?.high;
            ends.insert((topic.name().to_owned(), partition), high);
        }
        Ok(ends)
    })
    .await?
}

/// Whether every consumer has committed all that is there.
pub(super) async fn are_consumed(brokers: &str) -> Result<bool> {
    let layout = layout(brokers).await?;
    let committed = all_committed(brokers, &layout).await?.into_iter();
    let committed_by: HashMap<&str, Committed> = committed
        .map(|(service, offsets)| (service.name(), offsets))
        .collect();
    let brokers = brokers.to_owned();
    blocking(move || {
        let consumer = consumer(&brokers, "stack-books")?;
        for (topic, partition) in layout {
            let Bounds { low, high, .. } = of_partition(&consumer, topic.name(), partition)?;
            let at = (topic.name().to_owned(), partition);
            let behind = |service: &&str| {
                let next = committed_by.get(service).and_then(|offsets| offsets.get(&at));
                high > low && next.is_none_or(|next| *next < high)
            };
            if consumers(topic).iter().any(behind) {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await?
}

/// Reads all records up to the ends that the partitions have now.
pub(super) async fn read(brokers: &str, layout: &Layout) -> Result<Told> {
    let (brokers, layout) = (brokers.to_owned(), layout.clone());
    blocking(move || {
        let consumer = consumer(&brokers, "stack-books")?;
        let mut told = Told::default();
        let mut ends = HashMap::new();
        let mut begins = HashMap::new();
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in layout {
            let Bounds { low, high, .. } = of_partition(&consumer, topic.name(), partition)?;
            if low > 0 {
                begins.insert((topic, partition), (low, None));
            }
            if high > low {
                wanted.add_partition_offset(topic.name(), partition, Offset::Offset(low))?;
                ends.insert((topic, partition), high);
            }
        }
        consumer.assign(&wanted)?;
        told.take_all(&consumer, &mut ends, &mut begins)?;
        told.set_horizons(begins);
        Ok(told)
    })
    .await?
}

type Ends = HashMap<(Topic, i32), i64>;
fn consumer(brokers: &str, group: &str) -> Result<BaseConsumer> {
    Ok(client(brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.queue.backoff.ms", "20")
        .create()?)
}

impl Told {
    fn take_all(&mut self, consumer: &BaseConsumer, ends: &mut Ends, begins: &mut Begins) -> Result<()> {
        let mut heard = Instant::now();
        while !ends.is_empty() {
            let Some(message) = consumer.poll(Duration::from_millis(100)) else {
                // the last offsets of a partition may hold no record
                let positions = consumer.position()?;
                ends.retain(|(topic, partition), end| {
                    let position = positions.find_partition(topic.name(), *partition);
                    !matches!(position.map(|found| found.offset()), Some(Offset::Offset(next)) if next >= *end)
                });
                if heard.elapsed() > SILENCE {
                    return Err(Error::Invalid(format!(
                        "no record of {ends:?} came for {SILENCE:?}"
                    )));
                }
                continue;
            };
            let message = message?;
            heard = Instant::now();
            let Ok(topic) = message.topic().parse::<Topic>() else {
                continue;
            };
            let at = (topic, message.partition());
            let Some(end) = ends.get(&at).copied() else {
                continue;
            };
            if message.offset() < end {
                if let Some((_, first @ None)) = begins.get_mut(&at) {
                    *first = Some(written(&message));
                }
                self.take(topic, &message);
            }
            if message.offset().saturating_add(1) >= end {
                ends.remove(&at);
            }
        }
        Ok(())
    }
}
