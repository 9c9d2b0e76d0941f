//! Offsets are committed by one request at a time. Each time, the broker is asked first what the group has. That tells which
//! commits it has taken (rdkafka reports the outcome of none), and whether a topic is another one than was read: of that one
//! it has forgotten the offset, which a commit would hide.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaResult;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tracing::debug;

use crate::known_offsets::KnownOffsets;
use crate::offsets::Owed;
use crate::supervision::Stall;

/// What is processed meanwhile goes with the next commit.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// The consumer, as far as this needs it. All of it may block.
pub(crate) trait Committer: Send + Sync + 'static {
    /// The partitions that it has.
    fn partitions(&self) -> KafkaResult<TopicPartitionList>;
    /// The group's offsets on these.
    fn committed(&self, list: TopicPartitionList, patience: Duration) -> KafkaResult<TopicPartitionList>;
    /// Asks the group to take these.
    fn commit(&self, list: &TopicPartitionList) -> KafkaResult<()>;
}

/// The commits of one consumer.
pub(crate) struct Commits {
    known: KnownOffsets,
    /// The broker's answer is waited for so long.
    patience: Duration,
    under_way: Option<JoinHandle<Result<(), Stall>>>,
    next: Instant,
}

impl Commits {
    pub(crate) fn new(known: KnownOffsets, patience: Duration) -> Self {
        Self {
            known,
            patience,
            under_way: None,
            next: Instant::now(),
        }
    }

    /// When [`drive`](Self::drive) has something to do.
    pub(crate) fn due(&self, owed: &Owed) -> Option<Instant> {
        owed.is_due().then_some(self.next)
    }

    /// Commits what is due, unless a commit is under way. An error is of an earlier one: what is read is another topic.
    pub(crate) fn drive(
        &mut self,
        now: Instant,
        consumer: &Arc<impl Committer>,
        owed: &Owed,
    ) -> Result<(), Stall> {
        if let Some(under_way) = self.under_way.as_mut() {
            match under_way.now_or_never() {
                None => {
                    self.next = now + COMMIT_EVERY;
                    return Ok(());
                }
                Some(done) => {
                    self.under_way = None;
                    done.unwrap_or(Ok(()))?;
                }
            }
        }
        if now >= self.next && owed.is_due() {
            self.next = now + COMMIT_EVERY;
            self.under_way = Some(self.begin(consumer, owed));
        }
        Ok(())
    }

    /// Commits the last of it.
    pub(crate) async fn finish(mut self, consumer: &Arc<impl Committer>, owed: &Owed) {
        if let Some(under_way) = self.under_way.take() {
            drop(under_way.await);
        }
        if owed.is_due() {
            drop(self.begin(consumer, owed).await);
        }
    }

    fn begin(&self, consumer: &Arc<impl Committer>, owed: &Owed) -> JoinHandle<Result<(), Stall>> {
        let (known, patience) = (self.known.clone(), self.patience);
        let (consumer, owed) = (consumer.clone(), owed.clone());
        spawn_blocking(move || match commit(consumer.as_ref(), &owed, &known, patience) {
            Ok(compared) => compared,
            Err(error) => {
                debug!(error = %error, "offsets not committed");
                Ok(())
            }
        })
    }
}

/// The outer error is the broker's, or of the way to it.
fn commit(
    consumer: &impl Committer,
    owed: &Owed,
    known: &KnownOffsets,
    patience: Duration,
) -> KafkaResult<Result<(), Stall>> {
    let assigned = consumer.partitions()?;
    owed.retain(&assigned);
    let due = owed.due(&assigned)?;
    if due.count() == 0 {
        return Ok(Ok(()));
    }
    let before = known.now();
    let told = consumer.committed(due, patience)?;
    let compared = known.compare(&before, &told);
    owed.committed(&told);
    let due = owed.due(&assigned)?;
    if compared.is_ok() && due.count() > 0 {
        consumer.commit(&due)?;
        owed.asked(&due);
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use rdkafka::Offset;

    use super::*;

    /// A broker with one partition.
    #[derive(Default)]
    struct Fake {
        offset: Mutex<Option<i64>>,
    }

    impl Committer for Fake {
        fn partitions(&self) -> KafkaResult<TopicPartitionList> {
            let mut list = TopicPartitionList::new();
            list.add_partition("t", 0);
            Ok(list)
        }

        fn committed(&self, mut list: TopicPartitionList, _: Duration) -> KafkaResult<TopicPartitionList> {
            let offset = self
                .offset
                .lock()
                .unwrap()
                .map_or(Offset::Invalid, Offset::Offset);
            list.set_all_offsets(offset)?;
            Ok(list)
        }

        fn commit(&self, list: &TopicPartitionList) -> KafkaResult<()> {
            *self.offset.lock().unwrap() = list.elements()[0].offset().to_raw();
            Ok(())
        }
    }

    /// Drives until nothing is due or under way.
    async fn drive(commits: &mut Commits, broker: &Arc<Fake>, owed: &Owed, next: i64) -> Result<(), Stall> {
        owed.processed(HashMap::from([(("t".to_owned(), 0), next)]));
        loop {
            commits.drive(commits.next, broker, owed)?;
            match commits.under_way.as_mut() {
                Some(under_way) => under_way.await.unwrap()?,
                None => return Ok(()),
            }
            commits.under_way = None;
        }
    }

    #[tokio::test]
    async fn nothing_is_committed_to_a_topic_that_is_another_one() {
        let (broker, owed) = (Arc::<Fake>::default(), Owed::default());
        let mut commits = Commits::new(KnownOffsets::default(), Duration::ZERO);
        for next in [5, 7] {
            assert_eq!(drive(&mut commits, &broker, &owed, next).await, Ok(()));
            assert_eq!(*broker.offset.lock().unwrap(), Some(next));
        }
        *broker.offset.lock().unwrap() = None;
        let replaced = Err(Stall::TopicReplaced("t".to_owned()));
        assert_eq!(drive(&mut commits, &broker, &owed, 9).await, replaced);
        assert_eq!(*broker.offset.lock().unwrap(), None);
    }

    #[tokio::test]
    async fn the_last_of_it_is_committed_at_the_end() {
        let (broker, owed) = (Arc::<Fake>::default(), Owed::default());
        let mut commits = Commits::new(KnownOffsets::default(), Duration::ZERO);
        let processed = |next| owed.processed(HashMap::from([(("t".to_owned(), 0), next)]));
        processed(3);
        commits.drive(Instant::now(), &broker, &owed).unwrap();
        processed(4);
        commits.finish(&broker, &owed).await;
        assert_eq!(*broker.offset.lock().unwrap(), Some(4));
    }
}
