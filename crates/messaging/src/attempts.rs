//! How often the actions of an aggregate have been tried, for whoever shows the aggregate: the state knows it only once an
//! attempt has succeeded.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::Conn;
use crate::record::uuid_key;
use crate::schema::work;
use crate::work::{ACTION, PENDING};

/// An action that is owed, or was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionAttempts {
    /// The kind of action.
    pub name: String,
    /// Attempts that failed.
    pub failed: u32,
    /// When it is tried next; none while it is being tried, and where it was given up.
    pub next_at: Option<DateTime<Utc>>,
}

type Row = (Option<Vec<u8>>, String, i32, String, DateTime<Utc>, Option<Uuid>);

/// Of each of `aggregates` the action `name`, where there is one.
///
/// # Errors
/// The database's.
pub async fn of(
    conn: &mut Conn,
    name: &str,
    aggregates: &[Uuid],
) -> QueryResult<HashMap<Uuid, ActionAttempts>> {
    if aggregates.is_empty() {
        return Ok(HashMap::new());
    }
    let keys: Vec<Vec<u8>> = aggregates.iter().map(|id| id.to_string().into_bytes()).collect();
    let rows: Vec<Row> = work::table
        .filter(
            work::kind
                .eq(ACTION)
                .and(work::name.eq(name))
                .and(work::key.eq_any(keys)),
        )
        .select((
            work::key,
            work::name,
            work::attempts,
            work::state,
            work::next_attempt_at,
            work::claim,
        ))
        .load(conn)
        .await?;
    let of_row = |(key, name, failed, state, at, claim): Row| {
        let waits = state == PENDING && claim.is_none();
        let attempts = ActionAttempts {
            name,
            failed: u32::try_from(failed).unwrap_or_default(),
            next_at: waits.then_some(at),
        };
        Some((uuid_key(key.as_deref())?, attempts))
    };
    Ok(rows.into_iter().filter_map(of_row).collect())
}
