//! A topic that each process reads whole, straight from the broker: for what every replica has to know at once, whatever
//! its group's backlog and its database are doing.
//!
//! No group is joined, nothing is committed, retried or parked: what must not be lost has a participant as well.

mod place;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::Probe;
use chrono::TimeDelta;
use contracts::Fact;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::place::{Extent, Finding, Place};
use crate::broker::{TailWatch, broadcast_config};
use crate::metrics::KernelMetrics;
use crate::participant::Message;
use crate::record::Record;
use crate::supervision::{Client, LOOK_EVERY, Stall, Watchdog};
use crate::{BuildError, Failure, MessagingSettings};

/// How long after an error the broker is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

type Tail = StreamConsumer<TailWatch>;

/// This process's own reader of one topic.
pub struct Broadcast {
    config: ClientConfig,
    kafka: Arc<Tail>,
    metrics: KernelMetrics,
    /// How long one question to the broker may take.
    patience: Duration,
    watchdog: Watchdog,
    trouble: Trouble,
}

/// Since when the topic has not been read, and why; clones share it.
#[derive(Clone)]
struct Trouble {
    since: Arc<Mutex<Option<(Instant, String)>>>,
    grace: Duration,
}

impl Broadcast {
    /// A reader that has read nothing yet, known to the broker as `name`. When its client has to be made anew, that is
    /// counted in `metrics`.
    ///
    /// # Errors
    /// [`BuildError::Kafka`] when librdkafka refuses its configuration.
    pub fn new(
        brokers: &str,
        name: &str,
        settings: &MessagingSettings,
        metrics: KernelMetrics,
    ) -> Result<Self, BuildError> {
        let config = broadcast_config(brokers, name, settings);
        metrics.begin_client(Client::Tail);
        let bound = Duration::from_millis(settings.client_stall_ms);
        Ok(Self {
            kafka: Arc::new(config.create_with_context(TailWatch)?),
            config,
            metrics,
            patience: Duration::from_millis(settings.socket_timeout_ms),
            watchdog: Watchdog::new(Client::Tail, bound),
            trouble: Trouble {
                since: Arc::default(),
                grace: Duration::from_millis(settings.health_grace_ms),
            },
        })
    }

    /// For `/health`: a topic that has not been read for `messaging.health_grace_ms` is a concern.
    #[must_use]
    pub fn probe(&self) -> Probe {
        let trouble = self.trouble.clone();
        Probe::concern(move || trouble.concern())
    }

    /// Hands every fact on the topic of `F` to `hear`, from those announced `back` ago on, until `stop`. Says
    /// `caught_up` once, when `hear` has had all that was there at the start. A record that is no such fact is logged
    /// and passed over. Partitions that are added later, and all of a topic that is made anew, are read from their
    /// beginning.
    pub async fn run<F: Fact>(
        mut self,
        back: TimeDelta,
        hear: impl Fn(F),
        caught_up: impl FnOnce(),
        stop: CancellationToken,
    ) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.listen(back, hear, caught_up) => {}
        }
        close(self.kafka);
    }

    async fn listen<F: Fact>(&mut self, back: TimeDelta, hear: impl Fn(F), caught_up: impl FnOnce()) {
        let topic = F::TOPIC.name();
        let mut place = Place::default();
        let mut caught_up = Some(caught_up);
        loop {
            self.begin(topic, back, &mut place).await;
            self.read(topic, &mut place, &hear, &mut caught_up).await;
        }
    }

    /// Takes all partitions from where the reading stands. Until that has worked, there is nothing to read.
    async fn begin(&mut self, topic: &'static str, back: TimeDelta, place: &mut Place) {
        let mut last_error = String::new();
        loop {
            place.asks();
            let asked = Extent::ask(self.kafka.clone(), topic, Some(back), self.patience).await;
            let assigned = asked.and_then(|extent| {
                if place.cover(&extent) {
                    tell_replaced(topic);
                }
                self.kafka.assign(&list(topic, place)?)
            });
            let Err(error) = assigned else {
                return self.trouble.note(None);
            };
            let text = error.to_string();
            if text != last_error {
                warn!(%error, topic, "a topic cannot be read yet");
            }
            last_error.clone_from(&text);
            place.lost(&error);
            self.take(topic, &Err(Stall::NoAnswer(text)));
            sleep(ASK_AGAIN).await;
        }
    }

    /// Reads until the partitions have to be taken again.
    async fn read<F: Fact>(
        &mut self,
        topic: &'static str,
        place: &mut Place,
        hear: &impl Fn(F),
        caught_up: &mut Option<impl FnOnce()>,
    ) {
        let kafka = self.kafka.clone();
        place.asks();
        let mut looking = Box::pin(look(kafka.clone(), topic, self.patience));
        loop {
            tokio::select! {
                received = kafka.recv() => match received {
                    Ok(message) => {
                        place.read(message.partition(), message.offset());
                        match fact(Record::from_kafka(&message)) {
                            Ok(fact) => hear(fact),
                            Err(error) => warn!(%error, topic, "a record makes no sense"),
                        }
                    }
                    Err(KafkaError::PartitionEOF(partition)) => place.reached_end(partition),
                    Err(error) => {
                        debug!(%error, topic, "kafka consumer reports an error");
                        sleep(ASK_AGAIN).await;
                    }
                },
                extent = &mut looking => {
                    if self.is_to_begin_again(topic, place, extent) {
                        return;
                    }
                    place.asks();
                    looking = Box::pin(look(kafka.clone(), topic, self.patience));
                }
            }
            if place.has_caught_up()
                && let Some(caught_up) = caught_up.take()
            {
                caught_up();
            }
        }
    }

    fn is_to_begin_again(&mut self, topic: &str, place: &mut Place, extent: KafkaResult<Extent>) -> bool {
        let extent = match extent {
            Ok(extent) => extent,
            Err(error) => {
                place.lost(&error);
                return self.take(topic, &Err(Stall::NoAnswer(error.to_string())));
            }
        };
        match place.judge(&extent) {
            Finding::Reads => self.take(topic, &Ok(())),
            Finding::Stalls(partition) => {
                self.take(topic, &Err(Stall::NotFetching(format!("{topic}/{partition}"))))
            }
            Finding::Grown => {
                info!(topic, "partitions were added, they are read from their beginning");
                true
            }
            Finding::Replaced => {
                tell_replaced(topic);
                true
            }
        }
    }

    /// Takes in whether the client makes progress. True when there is a new one.
    fn take(&mut self, topic: &str, progress: &Result<(), Stall>) -> bool {
        let trouble = progress
            .as_ref()
            .err()
            .map(|stall| format!("{topic} is not read: {stall}"));
        self.trouble.note(trouble);
        if !self.watchdog.is_due(Instant::now(), progress, &self.metrics) {
            return false;
        }
        match self.config.create_with_context(TailWatch) {
            Ok(kafka) => {
                close(std::mem::replace(&mut self.kafka, Arc::new(kafka)));
                true
            }
            Err(error) => {
                warn!(%error, "no new kafka consumer can be made");
                false
            }
        }
    }
}

impl Trouble {
    fn note(&self, trouble: Option<String>) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = trouble.map(|text| {
            let begun = since.as_ref().map_or_else(Instant::now, |(begun, _)| *begun);
            (begun, text)
        });
    }

    fn concern(&self) -> Option<String> {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, text) = since.as_ref()?;
        (begun.elapsed() > self.grace).then(|| text.clone())
    }
}

fn tell_replaced(topic: &str) {
    error!(
        topic,
        "the topic was made anew: it is read from its beginning, and what it held before is gone"
    );
}

/// A look at the topic a while from now.
async fn look(kafka: Arc<Tail>, topic: &'static str, patience: Duration) -> KafkaResult<Extent> {
    sleep(LOOK_EVERY).await;
    Extent::ask(kafka, topic, None, patience).await
}

fn list(topic: &str, place: &Place) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, next) in place.positions() {
        list.add_partition_offset(topic, partition, Offset::Offset(next))?;
    }
    Ok(list)
}

/// Closing may wait for the broker, and nobody shall wait for that.
fn close(kafka: Arc<Tail>) {
    std::thread::spawn(move || drop(kafka));
}

fn fact<F: Fact>(record: Record) -> Result<F, Failure> {
    let envelope = record
        .envelope()
        .map_err(|error| Failure::new("malformed-envelope", error))?;
    Message { envelope, record }.fact()
}
