//! The consumer: collects records into batches, takes them through the inbox, commits offsets after the
//! database has committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::broker::ConsumerWatch;
use crate::inbox::{Arrival, Inbox};
use crate::isolate;
use crate::kernel::Core;
use crate::record::Record;
use crate::retry::Backoff;

type KafkaConsumer = StreamConsumer<ConsumerWatch>;

/// One group member.
pub(crate) struct GroupMember {
    core: Arc<Core>,
    kafka: KafkaConsumer,
    inbox: Inbox,
}

/// Offsets to commit: the next one of each partition.
type Positions = HashMap<(String, i32), i64>;

impl GroupMember {
    pub(crate) fn subscribe(core: Arc<Core>, config: &ClientConfig) -> KafkaResult<Self> {
        let kafka: KafkaConsumer = config.create_with_context(ConsumerWatch::new(core.metrics.clone()))?;
        let topics: Vec<&str> = core.topics.keys().map(String::as_str).collect();
        kafka.subscribe(&topics)?;
        Ok(Self {
            inbox: Inbox::new(core.clone()),
            core,
            kafka,
        })
    }

    /// Runs until `stop`; the batch at hand is finished first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while let Some(records) = self.collect(&stop).await {
            let mut positions = positions(&records);
            let arrivals = self.inbox.sort_out(records);
            if !self.process(&arrivals, &mut positions, &stop).await {
                break;
            }
            self.commit(&positions, CommitMode::Async);
        }
        self.leave().await;
    }

    /// The next batch; none when it is time to stop.
    async fn collect(&self, stop: &CancellationToken) -> Option<Vec<Record>> {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            first = self.receive() => first,
        };
        let mut batch = vec![first];
        let deadline = Instant::now() + Duration::from_millis(self.core.settings.batch_linger_ms);
        while batch.len() < self.core.settings.batch_max {
            match timeout_at(deadline, self.receive()).await {
                Ok(record) => batch.push(record),
                Err(_elapsed) => break,
            }
        }
        Some(batch)
    }

    /// The next record. Errors of the client are the broker's absence, mostly; librdkafka reconnects by itself.
    async fn receive(&self) -> Record {
        loop {
            match self.kafka.recv().await {
                Ok(message) => return Record::from_kafka(&message),
                Err(error) => {
                    debug!(error = %error, "kafka consumer reports an error");
                    tokio::time::sleep(Duration::from_millis(self.core.settings.backoff_min_ms)).await;
                }
            }
        }
    }

    /// Takes a batch through, waiting out any outage. False when stopped before the batch was done.
    async fn process(
        &self,
        arrivals: &[Arrival],
        positions: &mut Positions,
        stop: &CancellationToken,
    ) -> bool {
        let started = Instant::now();
        let mut rest = arrivals;
        let mut backoff = Backoff::new(&self.core.settings);
        let mut held_up = false;
        loop {
            match isolate::run(&self.inbox, rest).await {
                Ok(()) => break,
                Err((done, outage)) => {
                    rest = rest.get(done..).unwrap_or_default();
                    let wait = backoff.wait();
                    warn!(error = %outage, wait_ms = wait.as_millis(), "cannot process messages, waiting");
                    held_up = true;
                    if self.wait_paused(wait, positions, stop).await.is_err() {
                        return false;
                    }
                }
            }
        }
        if held_up {
            self.resume();
        }
        self.core.metrics.processed(arrivals.len(), started.elapsed());
        true
    }

    /// Waits without leaving the group: partitions are paused and the client is polled all the while.
    async fn wait_paused(
        &self,
        wait: Duration,
        positions: &mut Positions,
        stop: &CancellationToken,
    ) -> Result<(), ()> {
        let deadline = Instant::now() + wait;
        loop {
            if let Err(error) = self
                .kafka
                .assignment()
                .and_then(|assigned| self.kafka.pause(&assigned))
            {
                debug!(error = %error, "cannot pause");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(()),
                () = tokio::time::sleep_until(deadline) => return Ok(()),
                // a partition that was assigned meanwhile is not paused yet: its record is fetched again
                record = self.receive() => self.hand_back(&record, positions),
            }
        }
    }

    fn hand_back(&self, record: &Record, positions: &Positions) {
        let origin = &record.origin;
        let next = positions
            .get(&(origin.topic.clone(), origin.partition))
            .copied()
            .unwrap_or(origin.offset);
        let back = self.kafka.seek(
            &origin.topic,
            origin.partition,
            Offset::Offset(next.min(origin.offset)),
            Duration::from_secs(5),
        );
        if let Err(error) = back {
            warn!(error = %error, kafka.topic = origin.topic, "cannot seek back");
        }
    }

    fn resume(&self) {
        info!("processing messages again");
        if let Err(error) = self
            .kafka
            .assignment()
            .and_then(|assigned| self.kafka.resume(&assigned))
        {
            warn!(error = %error, "cannot resume");
        }
    }

    fn commit(&self, positions: &Positions, mode: CommitMode) {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in positions {
            if let Err(error) = list.add_partition_offset(topic, *partition, Offset::Offset(*next)) {
                debug!(error = %error, "cannot note an offset");
            }
        }
        // an offset that is not committed means a redelivery, which is recognised
        if let Err(error) = self.kafka.commit(&list, mode) {
            debug!(error = %error, "offsets not committed");
        }
    }

    /// Leaves the group so that the others take over at once. Both calls block.
    async fn leave(self) {
        let leaving = tokio::task::spawn_blocking(move || {
            let _ = self.kafka.commit_consumer_state(CommitMode::Sync);
            drop(self);
        });
        if leaving.await.is_err() {
            warn!("the kafka consumer did not close cleanly");
        }
    }
}

fn positions(records: &[Record]) -> Positions {
    let mut positions = Positions::new();
    for record in records {
        let place = (record.origin.topic.clone(), record.origin.partition);
        let next = record.origin.offset.saturating_add(1);
        positions
            .entry(place)
            .and_modify(|offset| *offset = next.max(*offset))
            .or_insert(next);
    }
    positions
}
