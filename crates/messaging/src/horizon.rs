//! The oldest transaction of the database's whole cluster, whoever began it: while it is open the relay's low-water mark
//! stands still and vacuum keeps what is dead.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use tokio::time::Instant;

use crate::{Conn, Outage};

/// Every role may read these: the transactions that write, of any database and prepared ones too; the snapshots of those
/// that read; what a standby or a slot asks to be kept. When a stranger's transaction began it may not, unless it is a
/// prepared one. What is as young as the next number holds nothing back.
const OLDEST: &str = "
    select held.xid::text as id,
           coalesce(extract(epoch from now() - max(prepared.prepared)), 0)::bigint as seconds
    from (select transactionid as xid from pg_locks
          where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted
          union all
          select backend_xmin from pg_stat_activity where pid <> pg_backend_pid()
          union all
          select xmin from pg_replication_slots) held
    left join pg_prepared_xacts prepared on prepared.transaction = held.xid
    where held.xid is not null and age(held.xid) > 0
    group by held.xid::text, age(held.xid)
    order by age(held.xid) desc
    limit 1";

/// What was the oldest when it was last looked at, and since when it has been.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    oldest: Option<(String, Instant)>,
}

impl Horizon {
    /// For how long the oldest transaction has certainly been open.
    pub(crate) async fn look(&mut self, conn: &mut Conn) -> Result<Duration, Outage> {
        #[derive(QueryableByName)]
        struct Held {
            #[diesel(sql_type = Text)]
            id: String,
            #[diesel(sql_type = BigInt)]
            seconds: i64,
        }
        let held: Option<Held> = diesel::sql_query(OLDEST).get_result(conn).await.optional()?;
        Ok(self.found(held.map(|held| (held.id, held.seconds)), Instant::now()))
    }

    fn found(&mut self, held: Option<(String, i64)>, now: Instant) -> Duration {
        let Some((id, seconds)) = held else {
            self.oldest = None;
            return Duration::ZERO;
        };
        let since = match self.oldest.take() {
            Some((known, since)) if known == id => since,
            _ => now,
        };
        self.oldest = Some((id, since));
        let told = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        now.duration_since(since).max(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_one_grows_older_and_another_one_begins_anew() {
        let (mut horizon, begin) = (Horizon::default(), Instant::now());
        let mut at = |id: &str, seconds, after| {
            let now = begin + Duration::from_secs(after);
            horizon.found(Some((id.to_owned(), seconds)), now).as_secs()
        };
        assert_eq!(at("7", 0, 0), 0);
        assert_eq!(at("7", 0, 5), 5);
        assert_eq!(at("8", 0, 9), 0);
        assert_eq!(at("8", 60, 10), 60, "a prepared one says itself how old it is");
        assert_eq!(horizon.found(None, begin), Duration::ZERO);
    }
}
