//! Claiming due work: a lease on rows, so that several dispatchers share one table without waiting for each
//! other, and what a dead one had claimed comes back by itself.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::Conn;
use crate::schema::work;
use crate::work::WorkRow;
use chassis::clock;

/// Rows under one claim.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) token: Uuid,
    pub(crate) rows: Vec<WorkRow>,
}

/// Only the oldest message of a key is due; actions do not wait for each other.
const DUE: &str = "select w.id from work w
    where w.state = 'pending' and w.kind = $1 and w.next_attempt_at <= $2
      and (w.kind <> 'message' or not exists (
            select 1 from work earlier
            where earlier.kind = 'message' and earlier.state = 'pending'
              and earlier.key = w.key and earlier.seq < w.seq))
    order by w.next_attempt_at
    limit $3
    for update skip locked";

/// Claims up to `max` due rows of `kind` for `lease`.
pub(crate) async fn claim(conn: &mut Conn, kind: &str, max: i64, lease: TimeDelta) -> QueryResult<Claim> {
    #[derive(QueryableByName)]
    struct Due {
        #[diesel(sql_type = diesel::sql_types::Uuid)]
        id: Uuid,
    }
    use diesel_async::AsyncConnection;
    let token = clock::new_id();
    let now = clock::now();
    let until: DateTime<Utc> = now + lease;
    let rows = conn
        .transaction::<_, diesel::result::Error, _>(async |conn| {
            let due: Vec<Due> = diesel::sql_query(DUE)
                .bind::<Text, _>(kind)
                .bind::<Timestamptz, _>(now)
                .bind::<BigInt, _>(max)
                .load(conn)
                .await?;
            if due.is_empty() {
                return Ok(Vec::new());
            }
            let ids: Vec<Uuid> = due.into_iter().map(|due| due.id).collect();
            diesel::update(work::table.filter(work::id.eq_any(ids)))
                .set((work::claim.eq(token), work::next_attempt_at.eq(until)))
                .returning(WorkRow::as_returning())
                .get_results(conn)
                .await
        })
        .await?;
    Ok(Claim { token, rows })
}

/// Locks which of `ids` are still under one of the claims `tokens`: a lease that ran out may have been taken over.
pub(crate) async fn still_held(conn: &mut Conn, tokens: &[Uuid], ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    work::table
        .filter(work::id.eq_any(ids).and(work::claim.eq_any(tokens)))
        .order(work::id)
        .select(work::id)
        .for_update()
        .load(conn)
        .await
}
