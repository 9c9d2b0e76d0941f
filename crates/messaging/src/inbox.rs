//! The inbox: a batch of records goes through one transaction — dedupe, react, park what fails, outbox.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use crate::dead_letter::{self, Death};
use crate::dedupe::{RecentIds, take_charge, within_memory};
use crate::isolate::Transactional;
use crate::kernel::Core;
use crate::outbox::{self, Effects};
use crate::participant::{Body, Input, Message, Steps, Verdict};
use crate::record::Record;
use crate::work::{self, NewWork};
use crate::{Conn, Failure, Outage};
use chassis::clock;

/// A record whose envelope has been looked at.
pub(crate) struct Arrival {
    record: Record,
    message: Result<Message, Failure>,
}

impl Arrival {
    fn id(&self) -> Option<Uuid> {
        self.message
            .as_ref()
            .ok()
            .map(|message| message.envelope.id.uuid())
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
        let arrivals: Vec<Arrival> = records
            .into_iter()
            .map(|record| self.look_at(record, now))
            .collect();
        arrivals
            .into_iter()
            .filter(|arrival| {
                self.core.metrics.consumed(&arrival.record.origin.topic);
                let fresh = arrival
                    .id()
                    .is_none_or(|id| !self.recent.contains(id) && seen.insert(id));
                if !fresh {
                    self.core.metrics.duplicate(&arrival.record.origin.topic);
                }
                fresh
            })
            .collect()
    }

    fn look_at(&self, record: Record, now: DateTime<Utc>) -> Arrival {
        let message = record
            .envelope()
            .map_err(|error| Failure::new("malformed-envelope", error))
            .and_then(|envelope| {
                within_memory(envelope.id.uuid(), now, self.retention)?;
                Ok(Message {
                    envelope,
                    record: record.clone(),
                })
            });
        Arrival { record, message }
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
        let duplicates = known
            .into_iter()
            .map(|arrival| arrival.record.origin.topic.clone())
            .collect();
        let mut taken = Taken {
            duplicates,
            ..Taken::default()
        };
        let waiting = self.keys_waiting(conn, &open).await?;
        let now = clock::now();
        let mut effects = Effects::default();
        let mut parked = Vec::new();
        for (participant, group) in self.by_participant(&open) {
            let (behind, ready): (Vec<&Arrival>, Vec<&Arrival>) = group.into_iter().partition(|arrival| {
                arrival
                    .record
                    .key
                    .as_ref()
                    .is_some_and(|key| waiting.contains(key))
            });
            parked.extend(
                behind
                    .iter()
                    .map(|arrival| NewWork::behind(&arrival.record, arrival.id(), now)),
            );
            let inputs: Vec<Input<'_>> = ready.iter().map(|arrival| input(arrival, condemned)).collect();
            let verdicts = participant
                .apply(&self.core.service, conn, &inputs, &mut effects)
                .await?;
            for (arrival, verdict) in ready.into_iter().zip(verdicts) {
                self.park(arrival, verdict, &mut parked, now, &mut taken);
            }
        }
        self.store_parked(conn, &parked, &mut effects, &taken.failures, now)
            .await?;
        taken.outbox = effects.outbox.len();
        taken.work = effects.actions.len() + parked.len();
        outbox::append(conn, &effects.outbox).await?;
        work::insert_actions(conn, effects.actions).await?;
        Ok(taken)
    }

    async fn keys_waiting(&self, conn: &mut Conn, open: &[&Arrival]) -> Result<HashSet<Vec<u8>>, Outage> {
        let keys: Vec<Vec<u8>> = open
            .iter()
            .filter_map(|arrival| arrival.record.key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(work::keys_waiting(conn, &keys).await?.into_iter().collect())
    }

    fn by_participant<'a>(&'a self, open: &[&'a Arrival]) -> Vec<(&'a dyn Steps, Vec<&'a Arrival>)> {
        let mut groups: HashMap<usize, Vec<&Arrival>> = HashMap::new();
        for &arrival in open {
            groups
                .entry(self.core.listener_of(&arrival.record.origin.topic))
                .or_default()
                .push(arrival);
        }
        groups
            .into_iter()
            .filter_map(|(index, group)| Some((self.core.participants.get(index)?.as_ref(), group)))
            .collect()
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
            Verdict::Done => {}
            Verdict::Behind => parked.push(NewWork::behind(&arrival.record, arrival.id(), now)),
            Verdict::Failed(failure) => {
                let row = NewWork::parked(&arrival.record, arrival.id(), &failure, &self.core.settings, now);
                taken.failures.push((row.id, failure));
                parked.push(row);
            }
        }
    }

    /// With no retries configured a message may die at its first failure.
    async fn store_parked(
        &self,
        conn: &mut Conn,
        parked: &[NewWork],
        effects: &mut Effects,
        failures: &[(Uuid, Failure)],
        now: DateTime<Utc>,
    ) -> Result<(), Outage> {
        if parked.is_empty() {
            return Ok(());
        }
        let written: HashSet<Uuid> = work::insert(conn, parked).await?.into_iter().collect();
        for row in parked
            .iter()
            .filter(|row| row.is_dead() && written.contains(&row.id))
        {
            let Some((_, failure)) = failures.iter().find(|(id, _)| *id == row.id) else {
                continue;
            };
            let death = Death::at_arrival(row, now);
            effects.outbox.push(dead_letter::announce(
                &self.core.service,
                death,
                failure,
                &self.core.settings,
                now,
            ));
        }
        Ok(())
    }
}

fn input<'a>(arrival: &'a Arrival, condemned: Option<&Failure>) -> Input<'a> {
    let body = match (&arrival.message, condemned) {
        (_, Some(failure)) => Body::Failed(failure.clone()),
        (Err(failure), None) => Body::Failed(failure.clone()),
        (Ok(message), None) => Body::Message(message),
    };
    Input {
        lane: arrival.record.key.as_deref(),
        body,
    }
}

/// What one transaction did.
#[derive(Default)]
struct Taken {
    duplicates: Vec<String>,
    outbox: usize,
    work: usize,
    failures: Vec<(Uuid, Failure)>,
}

#[async_trait]
impl Transactional<Arrival> for Inbox {
    async fn attempt(&self, arrivals: &[Arrival], condemned: Option<&Failure>) -> Result<(), Outage> {
        let mut conn = self.core.connection().await?;
        let taken = conn
            .transaction::<_, Outage, _>(async |conn| self.take_in(conn, arrivals, condemned).await)
            .await?;
        self.recent.remember(arrivals.iter().filter_map(Arrival::id));
        for topic in &taken.duplicates {
            self.core.metrics.duplicate(topic);
        }
        for (work_id, failure) in &taken.failures {
            tracing::warn!(work.id = %work_id, error.class = failure.class, error = %failure, "message parked");
        }
        self.core.signals.woke(taken.outbox > 0, taken.work > 0);
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
