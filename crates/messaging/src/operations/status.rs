//! How a service's events stand, and what it has counted.

use std::collections::BTreeMap;

use chassis::health::ConsumerHealth;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use super::{OperationError, Operations};
use crate::HeldBack;

/// How the events of a service stand: what this replica sees, and what is in the database.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// Whether Kafka answers this replica: `up` or `down`.
    pub broker: &'static str,
    /// Topics that the service listens to.
    pub topics: Vec<String>,
    /// Partitions of each topic that the consumer group has assigned to this replica.
    pub assigned_partitions: BTreeMap<String, Vec<i32>>,
    /// Messages of each topic that this replica has yet to consume on its partitions; null while that is not known, and
    /// where it has none.
    pub lag: BTreeMap<String, Option<i64>>,
    /// `open` while actions wait because what they need is down, or messages because their handler fails for key after key;
    /// else `closed`.
    pub breaker: &'static str,
    /// `paused` while this replica waits for the database or for the breaker, else `running`.
    pub consumption: &'static str,
    /// Whether this replica consumes, as its consumer says; null where nothing is consumed.
    #[schema(required)]
    pub consumer: Option<ConsumerHealth>,
    /// Whether the database answers: `up` or `down`. While it is down, what only it knows is null.
    pub database: &'static str,
    /// Whether this replica relays the outbox.
    pub relay_leads: bool,
    /// Facts that are not on Kafka yet.
    #[schema(required)]
    pub outbox: Option<Backlog>,
    /// Parked messages, actions and replayed publications that are owed.
    #[schema(required)]
    pub pending: Option<i64>,
    /// Open dead letters.
    #[schema(required)]
    pub dead_letters: Option<i64>,
    /// Aggregates past their deadline that are not judged because not everything about them has been read; null while
    /// there are none, and where the service has no deadlines.
    #[schema(required)]
    pub held_back: Option<HeldBack>,
}

/// The outbox.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Backlog {
    /// Its rows.
    pub rows: i64,
    /// The age of the oldest; 0 when there is none.
    pub oldest_age_seconds: f64,
}

/// Counts of one process since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// Records that Kafka has acknowledged.
    pub published: u64,
    /// Records received from Kafka, duplicates too.
    pub consumed: u64,
    /// Of those, the ones that had been processed before.
    pub duplicates: u64,
    /// Failed attempts of messages and actions after which there is another. Not counted: what waits for an outage to
    /// end, and operators' replays.
    pub retried: u64,
    /// Deaths: messages and actions whose attempts were spent, and publications that Kafka refused. What dies again after
    /// a replay counts again.
    pub dead_lettered: u64,
    /// Of those, the refused publications.
    pub refused: u64,
}

/// What a process has counted, and what stands in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stats {
    /// This process's counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Work that is owed, of all replicas.
    pub pending: i64,
    /// Dead letters that are remembered, of all replicas.
    pub totals: Totals,
}

/// Dead letters that are remembered, by state. Settled ones are forgotten in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, QueryableByName, ToSchema)]
pub struct Totals {
    /// All of them.
    #[diesel(sql_type = BigInt)]
    pub dead_letters: i64,
    /// Those that wait for somebody.
    #[diesel(sql_type = BigInt)]
    pub open: i64,
    /// Those that were sent round and have not come to an end.
    #[diesel(sql_type = BigInt)]
    pub replaying: i64,
    /// Those that a replay made good.
    #[diesel(sql_type = BigInt)]
    pub replayed: i64,
    /// Those that were given up.
    #[diesel(sql_type = BigInt)]
    pub discarded: i64,
    /// Those in whose place an edited one went.
    #[diesel(sql_type = BigInt)]
    pub superseded: i64,
    /// Those whose purpose was gone.
    #[diesel(sql_type = BigInt)]
    pub obsolete: i64,
}

const STANDING: &str = "select waiting.*, pending, open
    from (select count(*) as rows,
                 coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_age_seconds
          from outbox) waiting,
         (select count(*) as pending from work where state = 'pending') owed,
         (select count(*) as open from dead_letter where state = 'open') given_up";
const TOTALS: &str = "select count(*) as dead_letters, count(*) filter (where state = 'open') as open,
        count(*) filter (where state = 'replaying') as replaying,
        count(*) filter (where state = 'replayed') as replayed,
        count(*) filter (where state = 'discarded') as discarded,
        count(*) filter (where state = 'superseded') as superseded,
        count(*) filter (where state = 'obsolete') as obsolete
    from dead_letter";

#[derive(QueryableByName)]
struct Standing {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = Double)]
    oldest_age_seconds: f64,
    #[diesel(sql_type = BigInt)]
    pending: i64,
    #[diesel(sql_type = BigInt)]
    open: i64,
}

#[derive(QueryableByName)]
struct Pending {
    #[diesel(sql_type = BigInt)]
    pending: i64,
}

impl Operations {
    /// How the events of this service stand. That is also told while the database is away.
    pub async fn status(&self) -> Status {
        let core = &self.core;
        let standing = match self.standing().await {
            Ok(standing) => Some(standing),
            Err(error) => {
                warn!(error = %error, "the database does not tell how the events stand");
                None
            }
        };
        let mut topics: Vec<String> = core.topics.keys().cloned().collect();
        topics.sort_unstable();
        let assigned = |topic: &String| (topic.clone(), core.view.get().assigned.of(topic));
        let lag = |topic: &String| (topic.clone(), core.metrics.lag_of(topic));
        let either = |is: bool, yes, no| if is { yes } else { no };
        let open = ["actions", "messages"]
            .iter()
            .any(|before| core.metrics.is_breaker_open(before));
        Status {
            broker: either(self.broker.is_up(), "up", "down"),
            assigned_partitions: topics.iter().map(assigned).collect(),
            lag: topics.iter().map(lag).collect(),
            topics,
            breaker: either(open, "open", "closed"),
            consumption: either(core.metrics.is_consumer_paused(), "paused", "running"),
            consumer: core.consumer_health(),
            database: either(standing.is_some(), "up", "down"),
            relay_leads: core.metrics.is_leading(),
            held_back: core.deadlines.get(),
            pending: standing.as_ref().map(|standing| standing.pending),
            dead_letters: standing.as_ref().map(|standing| standing.open),
            outbox: standing.map(|standing| Backlog {
                rows: standing.rows,
                oldest_age_seconds: standing.oldest_age_seconds,
            }),
        }
    }

    async fn standing(&self) -> Result<Standing, OperationError> {
        let mut conn = self.core.connection().await?;
        Ok(diesel::sql_query(STANDING).get_result(&mut conn).await?)
    }

    /// What this process has counted since its start, and what stands in the database.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn stats(&self) -> Result<Stats, OperationError> {
        let mut conn = self.core.connection().await?;
        let totals: Totals = diesel::sql_query(TOTALS).get_result(&mut conn).await?;
        let owed = "select count(*) as pending from work where state = 'pending'";
        let owed: Pending = diesel::sql_query(owed).get_result(&mut conn).await?;
        Ok(Stats {
            counts: self.core.metrics.counts(),
            pending: owed.pending,
            totals,
        })
    }
}
