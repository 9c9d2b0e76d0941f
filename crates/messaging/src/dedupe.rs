//! Which events this service has taken charge of: ids in the database, the recent ones in memory before it.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use lru::LruCache;
use uuid::Uuid;

use crate::schema::processed_event;
use crate::{Conn, Failure};

/// How far ahead of ours a clock may be.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);

/// Ids of events that have been committed lately. Only an optimisation: what is not here is asked of the
/// database.
#[derive(Debug)]
pub(crate) struct RecentIds(Mutex<LruCache<Uuid, ()>>);

impl RecentIds {
    pub(crate) fn new(entries: usize) -> Self {
        let entries = NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(entries)))
    }

    pub(crate) fn contains(&self, id: Uuid) -> bool {
        self.lock().get(&id).is_some()
    }

    /// To be called after the commit, never before.
    pub(crate) fn remember(&self, ids: impl IntoIterator<Item = Uuid>) {
        let mut cache = self.lock();
        for id in ids {
            cache.put(id, ());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<Uuid, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes charge of `ids`; returns those that nobody had taken charge of before.
pub(crate) async fn take_charge(conn: &mut Conn, ids: &[Uuid]) -> QueryResult<HashSet<Uuid>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    // in one order everywhere: two consumers with the same events wait for each other instead of deadlocking
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let fresh: Vec<Uuid> = diesel::sql_query(
        "insert into processed_event (event_id) select unnest($1) on conflict do nothing returning event_id",
    )
    .bind::<diesel::sql_types::Array<diesel::sql_types::Uuid>, _>(sorted)
    .load::<Id>(conn)
    .await?
    .into_iter()
    .map(|row| row.event_id)
    .collect();
    Ok(fresh.into_iter().collect())
}

#[derive(QueryableByName)]
#[diesel(table_name = processed_event)]
struct Id {
    event_id: Uuid,
}

/// The time inside a `UUIDv7`.
pub(crate) fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

/// Whether the database can still tell if `id` has been processed.
///
/// # Errors
/// A [`Failure`] when the event is older than what is remembered, or from the future.
pub(crate) fn within_memory(id: Uuid, now: DateTime<Utc>, retention: TimeDelta) -> Result<(), Failure> {
    let time = time_of(id).ok_or_else(|| Failure::new("malformed-envelope", "the event id has no time"))?;
    if time < now - retention {
        let detail = format!(
            "the event is of {time}, ids are remembered for {} days",
            retention.num_days()
        );
        return Err(Failure::new("expired", detail));
    }
    if time > now + CLOCK_SKEW {
        return Err(Failure::new(
            "from-the-future",
            format!("the event is of {time}, it is {now}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::clock;

    #[test]
    fn only_what_can_be_remembered_is_processed() {
        let retention = TimeDelta::days(14);
        let id = clock::new_id();
        let made = time_of(id).unwrap();
        let class = |now| {
            within_memory(id, now, retention)
                .err()
                .map(|failure| failure.class)
        };
        assert_eq!(class(made), None);
        assert_eq!(class(made + TimeDelta::days(13)), None);
        assert_eq!(class(made + TimeDelta::days(15)).as_deref(), Some("expired"));
        assert_eq!(
            class(made - TimeDelta::hours(2)).as_deref(),
            Some("from-the-future")
        );
    }

    #[test]
    fn recent_ids_are_bounded() {
        let recent = RecentIds::new(2);
        let ids: Vec<_> = (0..3).map(|_| clock::new_id()).collect();
        recent.remember(ids.iter().copied());
        assert_eq!(
            ids.iter().map(|id| recent.contains(*id)).collect::<Vec<_>>(),
            [false, true, true]
        );
    }
}
