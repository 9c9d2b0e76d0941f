//! Numbers of notifications among their user's: given out under the lock of the user's row, which is held until the
//! commit, so that numbers become visible in their order.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use messaging::Conn;
use uuid::Uuid;

use super::schema::inbox;

#[derive(QueryableByName)]
struct Given {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = BigInt)]
    last_number: i64,
}

/// Gives out as many numbers as `users` names each user; returns the number before each user's first. Users are
/// locked in the order of their ids: two transactions never wait for each other in a circle.
pub(super) async fn give_out(
    conn: &mut Conn,
    users: impl Iterator<Item = Uuid>,
) -> QueryResult<HashMap<Uuid, i64>> {
    let mut wanted: BTreeMap<Uuid, i64> = BTreeMap::new();
    for user in users {
        let count = wanted.entry(user).or_default();
        *count = count.saturating_add(1);
    }
    let (ids, counts): (Vec<Uuid>, Vec<i64>) = wanted.iter().map(|(id, count)| (*id, *count)).unzip();
    let given: Vec<Given> = diesel::sql_query(
        "insert into inbox (user_id, last_number) select * from unnest($1, $2)
         on conflict (user_id) do update set last_number = inbox.last_number + excluded.last_number
         returning user_id, last_number",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<BigInt>, _>(counts)
    .load(conn)
    .await?;
    let before = |given: Given| {
        let count = wanted.get(&given.user_id).copied().unwrap_or_default();
        (given.user_id, given.last_number.saturating_sub(count))
    };
    Ok(given.into_iter().map(before).collect())
}

/// The last number given out to each of `users`; a user who was never told anything is not among them.
///
/// # Errors
/// The database's.
pub async fn last_numbers(conn: &mut Conn, users: &[Uuid]) -> QueryResult<Vec<(Uuid, i64)>> {
    inbox::table
        .filter(inbox::user_id.eq_any(users))
        .select((inbox::user_id, inbox::last_number))
        .load(conn)
        .await
}
