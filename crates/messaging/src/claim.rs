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
const CLAIM: &str = "with due as materialized (
        select w.id from work w
        where w.state = 'pending' and w.kind = $1 and w.next_attempt_at <= $2
          and (w.kind <> 'message' or not exists (
                select 1 from work earlier
                where earlier.kind = 'message' and earlier.state = 'pending'
                  and earlier.key = w.key and earlier.seq < w.seq))
        order by w.next_attempt_at
        limit $3
        for update skip locked)
    update work w set claim = $4, next_attempt_at = $5
    from due where w.id = due.id
    returning w.*";

/// Claims up to `max` due rows of `kind` for `lease`.
pub(crate) async fn claim(conn: &mut Conn, kind: &str, max: i64, lease: TimeDelta) -> QueryResult<Claim> {
    let token = clock::new_id();
    let now = clock::now();
    let until: DateTime<Utc> = now + lease;
    let rows = diesel::sql_query(CLAIM)
        .bind::<Text, _>(kind)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(max)
        .bind::<diesel::sql_types::Uuid, _>(token)
        .bind::<Timestamptz, _>(until)
        .load(conn)
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
