//! The inbox: a batch of records goes through one transaction — dedupe, react, park what fails, outbox.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{AsyncConnection, RunQueryDsl};
use tokio::time::timeout;
use uuid::Uuid;

use crate::attempt::FailedAttempt;
use crate::dead_letter::{self, Death};
use crate::dedupe::{RecentIds, take_charge, time_of, within_memory};
use crate::intake::{Blame, Judged};
use crate::isolate::Transactional;
use crate::kernel::Core;
use crate::metrics::tally;
use crate::new_work::NewWork;
use crate::outbox::{self, Effects};
use crate::participant::Message;
use crate::record::Record;
use crate::saga_log::SagaStep;
use crate::steps::{Body, Input, Steps, Verdict};
use crate::work;
use crate::{Conn, Failure, Outage};
use chassis::clock;

/// A record whose envelope has been looked at.
pub(crate) enum Arrival {
    Read(Box<Message>),
    /// What cannot be read, or cannot be told from a duplicate, fails with the reason.
    Unfit(Record, Failure),
}

impl Arrival {
    fn record(&self) -> &Record {
        match self {
            Self::Read(message) => &message.record,
            Self::Unfit(record, _) => record,
        }
    }

    fn topic(&self) -> &str {
        &self.record().origin.topic
    }

    /// How long ago the saga began, whose id is a `UUIDv7`.
    fn saga_age(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        match self {
            Self::Read(message) => Some(now - time_of(message.envelope.correlation_id)?),
            Self::Unfit(..) => None,
        }
    }

    fn id(&self) -> Option<Uuid> {
        match self {
            Self::Read(message) => Some(message.envelope.id.uuid()),
            Self::Unfit(..) => None,
        }
    }
}

/// Takes batches of records in.
pub(crate) struct Inbox {
    core: Arc<Core>,
    recent: RecentIds,
    retention: TimeDelta,
}

impl Inbox {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let settings = &core.settings;
        Self {
            recent: RecentIds::new(settings.dedupe_cache_entries),
            retention: TimeDelta::days(i64::from(settings.dedupe_retention_days)),
            core,
        }
    }

    /// Reads the envelopes and drops what is known to be processed.
    pub(crate) fn sort_out(&self, records: Vec<Record>) -> Vec<Arrival> {
        let now = clock::now();
        let mut seen = HashSet::new();
        let (fresh, known): (Vec<Arrival>, Vec<Arrival>) = records
            .into_iter()
            .map(|record| self.look_at(record, now))
            .partition(|arrival| {
                arrival
                    .id()
                    .is_none_or(|id| !self.recent.contains(id) && seen.insert(id))
            });
        let metrics = &self.core.metrics;
        metrics.consumed(&tally(fresh.iter().chain(&known).map(Arrival::topic)));
        metrics.duplicates(&tally(known.iter().map(Arrival::topic)));
        fresh
    }

    fn look_at(&self, record: Record, now: DateTime<Utc>) -> Arrival {
        let envelope = record
            .envelope()
            .map_err(|error| Failure::new("malformed-envelope", error))
            .and_then(|envelope| within_memory(envelope.id.uuid(), now, self.retention).map(|()| envelope));
        match envelope {
            Ok(envelope) => Arrival::Read(Box::new(Message { envelope, record })),
            Err(failure) => Arrival::Unfit(record, failure),
        }
    }

    async fn take_in(
        &self,
        conn: &mut Conn,
        arrivals: &[Arrival],
        condemned: Option<&Failure>,
    ) -> Result<Taken, Outage> {
        let ids: Vec<Uuid> = arrivals.iter().filter_map(Arrival::id).collect();
        let fresh = take_charge(conn, &ids).await?;
        let (open, known): (Vec<&Arrival>, Vec<&Arrival>) = arrivals
            .iter()
            .partition(|arrival| arrival.id().is_none_or(|id| fresh.contains(&id)));
        let mut taken = Taken {
            duplicates: tally(known.into_iter().map(Arrival::topic)),
            ..Taken::default()
        };
        let waiting = self.keys_waiting(conn, &open).await?;
        let now = clock::now();
        let mut effects = Effects::default();
        let (mut parked, mut decided) = (Vec::new(), Vec::new());
        for (participant, group) in self.by_participant(&open) {
            let (behind, ready): (Vec<&Arrival>, Vec<&Arrival>) = group.into_iter().partition(|arrival| {
                let key = arrival.record().key.as_ref();
                key.is_some_and(|key| waiting.contains(key))
            });
            parked.extend(
                behind
                    .iter()
                    .map(|arrival| NewWork::behind(arrival.record(), arrival.id(), now)),
            );
            let inputs: Vec<Input<'_>> = ready.iter().map(|arrival| input(arrival, condemned)).collect();
            let verdicts = participant
                .apply(&self.core.service, conn, &inputs, &mut effects)
                .await?;
            decided.extend(ready.into_iter().zip(verdicts));
        }
        let excused = self.excused(&decided)?;
        for (arrival, verdict) in decided {
            if excused {
                parked.push(self.put_off(arrival, now));
            } else {
                self.park(arrival, verdict, &mut parked, now, &mut taken);
            }
        }
        self.store_parked(conn, &parked, &mut effects, &mut taken.failures, now)
            .await?;
        taken.steps = std::mem::take(&mut effects.steps);
        taken.outbox = effects.outbox.len();
        taken.actions = effects.actions.len();
        outbox::append(conn, &effects.outbox).await?;
        work::insert_actions(conn, effects.actions).await?;
        chassis::crossing!("consumer.written");
        Ok(taken)
    }

    async fn keys_waiting(&self, conn: &mut Conn, open: &[&Arrival]) -> Result<HashSet<Vec<u8>>, Outage> {
        let keys: Vec<Vec<u8>> = open
            .iter()
            .filter_map(|arrival| arrival.record().key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(work::keys_waiting(conn, &keys).await?.into_iter().collect())
    }

    /// In one order everywhere: two replicas that lock states of several participants wait for each other.
    fn by_participant<'a>(&'a self, open: &[&'a Arrival]) -> Vec<(&'a dyn Steps, Vec<&'a Arrival>)> {
        let mut groups: BTreeMap<usize, Vec<&Arrival>> = BTreeMap::new();
        for &arrival in open {
            groups
                .entry(self.core.listener_of(arrival.topic()))
                .or_default()
                .push(arrival);
        }
        groups
            .into_iter()
            .filter_map(|(index, group)| Some((self.core.participants.get(index)?.as_ref(), group)))
            .collect()
    }

    /// Whether the failures of this batch are nobody's own. They are then not taken in; but a probe is, and another message
    /// is tried next time, so that one which will never succeed does not keep the breaker open.
    fn excused(&self, decided: &[(&Arrival, Verdict)]) -> Result<bool, Outage> {
        let verdicts = decided.iter().map(|(arrival, verdict)| Judged {
            key: arrival.record().key.as_deref(),
            before: None,
            verdict,
        });
        match self.core.intake.judge(verdicts, Instant::now()) {
            Blame::Own => Ok(false),
            Blame::Probe => Ok(true),
            Blame::Nobody => Err(Outage::Halted(last_class(decided))),
        }
    }

    /// A message that failed while the breaker was open: no attempt was made.
    fn put_off(&self, arrival: &Arrival, now: DateTime<Utc>) -> NewWork {
        NewWork {
            next_attempt_at: now + self.core.later(),
            last_failed_at: Some(now),
            ..NewWork::behind(arrival.record(), arrival.id(), now)
        }
    }

    fn park(
        &self,
        arrival: &Arrival,
        verdict: Verdict,
        parked: &mut Vec<NewWork>,
        now: DateTime<Utc>,
        taken: &mut Taken,
    ) {
        match verdict {
            Verdict::Done { .. } => {}
            Verdict::Behind => parked.push(NewWork::behind(arrival.record(), arrival.id(), now)),
            Verdict::Failed(failure) => {
                let row = NewWork::parked(arrival.record(), arrival.id(), &failure, &self.core.settings, now);
                let record = arrival.record();
                let (key, headers) = (record.key.as_deref(), &record.headers);
                taken
                    .failures
                    .push(FailedAttempt::new(row.id, key, headers, failure, row.is_dead()));
                parked.push(row);
            }
        }
    }

    /// Writes parked rows; a failure of one that is there already (redelivered) is not told again. With no retries
    /// configured a message dies at its first failure.
    async fn store_parked(
        &self,
        conn: &mut Conn,
        parked: &[NewWork],
        effects: &mut Effects,
        failures: &mut Vec<FailedAttempt>,
        now: DateTime<Utc>,
    ) -> Result<(), Outage> {
        if parked.is_empty() {
            return Ok(());
        }
        let written: HashSet<Uuid> = work::insert(conn, parked).await?.into_iter().collect();
        chassis::crossing!("work.parked");
        failures.retain(|failed| written.contains(&failed.work_id));
        for failed in failures.iter().filter(|failed| failed.dead) {
            let Some(row) = parked.iter().find(|row| row.id == failed.work_id) else {
                continue;
            };
            let (death, settings) = (Death::at_arrival(row, now), &self.core.settings);
            let letter = dead_letter::announce(&self.core.service, death, &failed.failure, settings, now);
            effects.outbox.extend(letter);
        }
        Ok(())
    }
}

fn last_class(decided: &[(&Arrival, Verdict)]) -> String {
    let class = |(_, verdict): &(&Arrival, Verdict)| match verdict {
        Verdict::Failed(failure) => Some(failure.class.clone()),
        Verdict::Done { .. } | Verdict::Behind => None,
    };
    decided.iter().rev().find_map(class).unwrap_or_default()
}

fn input<'a>(arrival: &'a Arrival, condemned: Option<&Failure>) -> Input<'a> {
    let body = match (arrival, condemned) {
        (_, Some(failure)) => Body::Failed(failure.clone()),
        (Arrival::Unfit(_, failure), None) => Body::Failed(failure.clone()),
        (Arrival::Read(message), None) => Body::Message(message),
    };
    Input {
        lane: arrival.record().key.as_deref(),
        body,
    }
}

/// What one transaction did.
#[derive(Default)]
struct Taken {
    duplicates: HashMap<String, u64>,
    steps: Vec<SagaStep>,
    outbox: usize,
    actions: usize,
    failures: Vec<FailedAttempt>,
}

#[async_trait]
impl Transactional<Arrival> for Inbox {
    async fn attempt(&self, arrivals: &[Arrival], condemned: Option<&Failure>) -> Result<(), Outage> {
        let mut conn = self.core.connection().await?;
        let transaction =
            conn.transaction::<_, Outage, _>(async |conn| self.take_in(conn, arrivals, condemned).await);
        let Ok(taken) = timeout(self.core.patience(), transaction).await else {
            return Err(self.core.give_up(conn));
        };
        let taken = taken?;
        chassis::crossing!("consumer.committed");
        self.recent.remember(arrivals.iter().filter_map(Arrival::id));
        self.core.metrics.duplicates(&taken.duplicates);
        taken.steps.iter().for_each(SagaStep::tell);
        for failed in &taken.failures {
            failed.tell(&self.core.metrics);
        }
        let now = clock::now();
        for arrival in arrivals {
            if let Some(age) = arrival.saga_age(now) {
                self.core.metrics.saga_age(arrival.topic(), age);
            }
        }
        self.core.signals.woke(taken.outbox > 0, taken.actions > 0);
        Ok(())
    }

    async fn accepts_writes(&self) -> bool {
        self.core.accepts_writes().await
    }
}

impl Core {
    /// Writes and rolls back: tells a database that refuses everybody from one that refuses this message.
    pub(crate) async fn accepts_writes(&self) -> bool {
        let Ok(mut conn) = self.connection().await else {
            return false;
        };
        let probe = conn
            .transaction::<(), diesel::result::Error, _>(async |conn| {
                diesel::sql_query(
                    "insert into outbox (event_id, topic, headers) values (gen_random_uuid(), 'probe', '[]')",
                )
                .execute(conn)
                .await?;
                Err(diesel::result::Error::RollbackTransaction)
            })
            .await;
        matches!(probe, Err(diesel::result::Error::RollbackTransaction))
    }
}
