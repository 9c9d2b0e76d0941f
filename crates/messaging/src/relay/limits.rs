//! Whether the topics, as they are on the broker, fit what this service does with them.
//!
//! A misfit is an error in the log and a metric, and no reason not to start: nothing is lost by it and no order breaks, while
//! a service that does not start serves nobody. The broker may be away at the start, so it is asked until it answers, and
//! now and then after that, since topics are altered under running services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contracts::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::error::KafkaResult;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use crate::broker::{ProducerWatch, admin_config};
use crate::kernel::Core;
use crate::retry::Backoff;
use crate::settings::MessagingSettings;

/// How often the topics are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// How long the broker has to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What goes around the records of a batch, at most: its own head and the request's.
const FRAME_BYTES: i64 = 1_024;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What this service does with a topic.
#[derive(Debug, Clone, Copy)]
struct Uses {
    writes: bool,
    /// It reads events from it, and knows those that come again by the memory of ids.
    remembers: bool,
}

pub(crate) struct TopicLimits {
    core: Arc<Core>,
    brokers: String,
    told: BTreeMap<String, Vec<String>>,
}

impl TopicLimits {
    pub(crate) fn new(core: Arc<Core>, brokers: String) -> Self {
        Self {
            core,
            brokers,
            told: BTreeMap::new(),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(&self.core.settings);
        loop {
            let described = tokio::select! {
                () = stop.cancelled() => return,
                described = self.describe() => described,
            };
            let wait = match described {
                Ok(topics) => {
                    self.compare(&topics);
                    backoff.reset();
                    LOOK_EVERY
                }
                Err(error) => {
                    debug!(error = %error, "the topics' settings cannot be read");
                    backoff.wait()
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn uses(&self, topic: &str) -> Uses {
        let known = topic.parse::<Topic>().ok();
        Uses {
            writes: known.is_some_and(|known| known.announced_by() == self.core.service),
            // letters wait for operators as long as it takes; who reads of them knows them by what it has kept
            remembers: self.core.topics.contains_key(topic) && !known.is_some_and(Topic::is_dead_letter),
        }
    }

    async fn describe(&self) -> KafkaResult<Vec<ConfigResource>> {
        let names: BTreeSet<&str> = Topic::ALL
            .iter()
            .map(|topic| topic.name())
            .chain(self.core.topics.keys().map(String::as_str))
            .filter(|topic| {
                let uses = self.uses(topic);
                uses.writes || uses.remembers
            })
            .collect();
        let config = admin_config(&self.brokers, &self.core.settings);
        let admin: AdminClient<ProducerWatch> = config.create_with_context(ProducerWatch)?;
        let topics: Vec<ResourceSpecifier<'_>> =
            names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let described = admin.describe_configs(&topics, &options).await;
        // closing blocks
        drop(tokio::task::spawn_blocking(move || drop(admin)));
        Ok(described?.into_iter().flatten().collect())
    }

    /// Tells what does not fit, once.
    fn compare(&mut self, topics: &[ConfigResource]) {
        for topic in topics {
            let OwnedResourceSpecifier::Topic(name) = &topic.specifier else {
                continue;
            };
            let value = |key: &str| topic.get(key)?.value.as_ref()?.parse().ok();
            let found = misfits(self.uses(name), value, &self.core.settings);
            self.core.metrics.misfit(name, !found.is_empty());
            let told = self.told.entry(name.clone()).or_default();
            if *told == found {
                continue;
            }
            for misfit in &found {
                error!(
                    kafka.topic = name,
                    misfit, "the topic's settings do not fit this service's"
                );
            }
            if found.is_empty() {
                info!(kafka.topic = name, "the topic's settings fit");
            }
            *told = found;
        }
    }
}

/// What of a topic's settings does not fit. What is not known (the topic is not there, or may not be described) fits.
fn misfits(uses: Uses, value: impl Fn(&str) -> Option<i64>, settings: &MessagingSettings) -> Vec<String> {
    let mut found = Vec::new();
    let largest = i64::from(settings.record_max_bytes) + FRAME_BYTES;
    if let Some(limit) = value("max.message.bytes").filter(|limit| uses.writes && *limit < largest) {
        found.push(format!(
            "max.message.bytes is {limit}, less than messaging.record_max_bytes and {FRAME_BYTES}, {largest}"
        ));
    }
    let days = settings.dedupe_retention_days;
    let memory = i64::from(days).saturating_mul(DAY_MS);
    let (retention, segment) = (value("retention.ms"), value("segment.ms"));
    if let (true, Some(retention), Some(segment)) = (uses.remembers, retention, segment)
        && (retention < 0 || retention.saturating_add(segment) >= memory)
    {
        found.push(format!(
            "retention.ms {retention} and segment.ms {segment} keep events as long as, or longer than, \
             messaging.dedupe_retention_days, {days}"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKAS_OWN: [(&str, i64); 3] = [
        ("max.message.bytes", 1_048_588),
        ("retention.ms", 7 * DAY_MS),
        ("segment.ms", 7 * DAY_MS),
    ];

    fn found(uses: Uses, changes: &[(&str, i64)], settings: &MessagingSettings) -> usize {
        let entries = changes.iter().chain(&KAFKAS_OWN);
        let entries: Vec<_> = entries.copied().collect();
        let value = |key: &str| {
            entries
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        misfits(uses, value, settings).len()
    }

    #[test]
    fn a_batch_must_fit_the_topic_that_it_is_written_to() {
        let (writes, remembers) = (true, false);
        let uses = Uses { writes, remembers };
        let mut settings = MessagingSettings::default();
        assert_eq!(found(uses, &[], &settings), 0);
        settings.record_max_bytes = 1_048_588 - 1_024;
        assert_eq!(found(uses, &[], &settings), 0);
        settings.record_max_bytes += 1;
        assert_eq!(found(uses, &[], &settings), 1);
        let uses = Uses {
            writes: false,
            remembers,
        };
        assert_eq!(found(uses, &[], &settings), 0);
    }

    #[test]
    fn a_topic_must_keep_less_than_the_memory_of_ids() {
        let (writes, remembers) = (false, true);
        let uses = Uses { writes, remembers };
        let settings = MessagingSettings::default();
        assert_eq!(
            found(uses, &[], &settings),
            1,
            "an old record leaves with its segment, after 14 days"
        );
        assert_eq!(found(uses, &[("segment.ms", DAY_MS)], &settings), 0);
        assert_eq!(found(uses, &[("retention.ms", 8 * DAY_MS)], &settings), 1);
        assert_eq!(found(uses, &[("retention.ms", -1)], &settings), 1);
    }

    #[test]
    fn what_is_not_known_fits() {
        let (writes, remembers) = (true, true);
        let settings = MessagingSettings::default();
        assert!(misfits(Uses { writes, remembers }, |_| None, &settings).is_empty());
    }
}
