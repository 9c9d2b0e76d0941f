//! Partitions of `processed_event`, one a day: attached ahead of time and dropped after retention.
//!
//! No statement here blocks a reader or a writer of the table, whether it runs or waits. `create table … partition of`
//! and `drop table` of a partition lock the parent against everybody, and behind such a lock that waits (for a backup,
//! say) every later statement waits too. `attach` and `detach concurrently` take locks that conflict only with other
//! schema changes; the exclusive lock of the drop is taken on a table that is no partition any more.
//!
//! A partition is detached in two transactions. When the second cannot be had (a transaction that has used the table
//! still runs) or the process dies in between, the partition stays *pending*, and a later run finalizes it.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use tracing::info;
use uuid::{Builder, Uuid};

use crate::Conn;

/// Partitions are made this far ahead, so that a job that is late for days does no harm.
const DAYS_AHEAD: u64 = 7;
/// An event may be dated up to an hour ahead of our clock, so that tomorrow's partition is needed today.
const DAYS_NEEDED_AHEAD: u64 = 1;
/// Serialises the job between replicas; any number that nothing else uses.
const JOB_LOCK: i64 = 0x7175_6164_0002;

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Upkeep {
    /// Every partition that should exist does, and no other.
    Done,
    /// Another replica is at it.
    Elsewhere,
}

/// Whether each event that is young enough to be processed has its partition.
///
/// # Errors
/// The database's.
pub async fn are_partitions_ready(
    conn: &mut Conn,
    now: DateTime<Utc>,
    retention_days: u32,
) -> QueryResult<bool> {
    let found = tables(conn).await?;
    let window = Window::new(now, retention_days);
    let attached = |day| find(&found, day).is_some_and(Table::is_partition);
    Ok(window.days(DAYS_NEEDED_AHEAD).all(attached))
}

/// Makes the partitions from `retention_days` ago to a week ahead. Safe to run anywhere at any time.
///
/// # Errors
/// The first error of the database; each partition that could be made is made.
pub async fn make_partitions(
    conn: &mut Conn,
    now: DateTime<Utc>,
    retention_days: u32,
) -> QueryResult<Upkeep> {
    let window = Window::new(now, retention_days);
    exclusively(conn, |found| window.to_make(found)).await
}

/// Does what [`make_partitions`] does, and drops older partitions. A partition is kept for a day longer than it is asked
/// for: an event that was just young enough when it was looked at still finds its place.
///
/// # Errors
/// The first error of the database; what could be made or dropped is.
pub async fn keep_partitions(
    conn: &mut Conn,
    now: DateTime<Utc>,
    retention_days: u32,
) -> QueryResult<Upkeep> {
    let window = Window::new(now, retention_days);
    exclusively(conn, |found| {
        let mut chores = window.to_make(found);
        chores.extend(window.to_drop(found));
        chores
    })
    .await
}

/// Plans and works under the job's lock. The lock is not waited for: a session that waits in a statement holds a
/// snapshot, which finalizing would wait for in turn.
async fn exclusively(conn: &mut Conn, plan: impl FnOnce(&[Table]) -> Vec<Chore>) -> QueryResult<Upkeep> {
    if !job_lock(conn, "pg_try_advisory_lock").await? {
        return Ok(Upkeep::Elsewhere);
    }
    let worked = match tables(conn).await {
        Ok(found) => work_off(conn, &plan(&found)).await,
        Err(error) => Err(error),
    };
    let unlocked = job_lock(conn, "pg_advisory_unlock").await;
    worked.and(unlocked).map(|_was_held| Upkeep::Done)
}

async fn job_lock(conn: &mut Conn, function: &str) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = Bool)]
        held: bool,
    }
    let answer: Answer = diesel::sql_query(format!("select {function}($1) as held"))
        .bind::<BigInt, _>(JOB_LOCK)
        .get_result(conn)
        .await?;
    Ok(answer.held)
}

/// A partition that cannot be had now does not keep the others waiting.
async fn work_off(conn: &mut Conn, chores: &[Chore]) -> QueryResult<()> {
    let mut failed = None;
    for chore in chores {
        if let Err(error) = chore.run(conn).await {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// What one partition needs: statements in their order, each a transaction of its own.
#[derive(Debug, PartialEq, Eq)]
struct Chore {
    table: String,
    statements: Vec<String>,
    drops: bool,
}

impl Chore {
    async fn run(&self, conn: &mut Conn) -> QueryResult<()> {
        for statement in &self.statements {
            conn.batch_execute(statement).await?;
        }
        if self.drops {
            info!(partition = %self.table, "dropped ids of processed events past retention");
        }
        Ok(())
    }
}

/// The days that partitions are kept for.
#[derive(Debug, Clone, Copy)]
struct Window {
    first: NaiveDate,
    today: NaiveDate,
}

impl Window {
    fn new(now: DateTime<Utc>, retention_days: u32) -> Self {
        let today = now.date_naive();
        let first = today.checked_sub_days(Days::new(u64::from(retention_days)));
        Self {
            first: first.unwrap_or(today),
            today,
        }
    }

    /// From the first day to `ahead` days from today.
    fn days(self, ahead: u64) -> impl Iterator<Item = NaiveDate> {
        let last = self
            .today
            .checked_add_days(Days::new(ahead))
            .unwrap_or(self.today);
        self.first.iter_days().take_while(move |day| *day <= last)
    }

    fn to_make(self, found: &[Table]) -> Vec<Chore> {
        self.days(DAYS_AHEAD)
            .filter_map(|day| {
                let statements = match find(found, day).map(|table| table.state) {
                    Some(State::Attached) => return None,
                    // retention was shorter a moment ago
                    Some(State::Pending) => vec![finalize(&name(day)), attach(day)],
                    Some(State::Detached) => vec![attach(day)],
                    // of one transaction: nothing half made is left behind
                    None => vec![format!("{}; {}", create(day), attach(day))],
                };
                Some(Chore {
                    table: name(day),
                    statements,
                    drops: false,
                })
            })
            .collect()
    }

    fn to_drop(self, found: &[Table]) -> Vec<Chore> {
        let oldest = name(self.first.pred_opt().unwrap_or(self.first));
        let expired = found.iter().filter(|table| table.name < oldest);
        expired
            .map(|Table { name, state }| {
                let drop = format!("drop table {name}");
                let statements = match state {
                    State::Attached => vec![detach(name), drop],
                    State::Pending => vec![finalize(name), drop],
                    State::Detached => vec![drop],
                };
                Chore {
                    table: name.clone(),
                    statements,
                    drops: true,
                }
            })
            .collect()
    }
}

/// A table of ids of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    name: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A partition.
    Attached,
    /// Detached by half: no partition any more for new statements.
    Pending,
    /// A table by itself, to be dropped.
    Detached,
}

impl Table {
    fn is_partition(&self) -> bool {
        self.state == State::Attached
    }
}

fn find(tables: &[Table], day: NaiveDate) -> Option<&Table> {
    let name = name(day);
    tables.iter().find(|table| table.name == name)
}

async fn tables(conn: &mut Conn) -> QueryResult<Vec<Table>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Bool)]
        attached: bool,
        #[diesel(sql_type = Bool)]
        pending: bool,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "select c.relname::text as name, i.inhrelid is not null as attached,
            coalesce(i.inhdetachpending, false) as pending
         from pg_class parent
         join pg_class c on c.relnamespace = parent.relnamespace and c.relkind = 'r'
            and c.relname ~ '^processed_event_[0-9]{8}$'
         left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = parent.oid
         where parent.oid = 'processed_event'::regclass
         order by name",
    )
    .load(conn)
    .await?;
    let table = |row: Row| Table {
        name: row.name,
        state: match (row.attached, row.pending) {
            (true, false) => State::Attached,
            (true, true) => State::Pending,
            (false, _) => State::Detached,
        },
    };
    Ok(rows.into_iter().map(table).collect())
}

/// Names sort like days.
fn name(day: NaiveDate) -> String {
    format!("processed_event_{}", day.format("%Y%m%d"))
}

fn create(day: NaiveDate) -> String {
    format!("create table {} (like processed_event including all)", name(day))
}

fn attach(day: NaiveDate) -> String {
    let next = day.succ_opt().unwrap_or(day);
    format!(
        "alter table processed_event attach partition {} for values from ('{}') to ('{}')",
        name(day),
        floor(day),
        floor(next)
    )
}

fn detach(name: &str) -> String {
    format!("alter table processed_event detach partition {name} concurrently")
}

fn finalize(name: &str) -> String {
    format!("alter table processed_event detach partition {name} finalize")
}

/// The smallest `UUIDv7` of a day; without version and variant, which would exclude ids of its first millisecond.
fn floor(day: NaiveDate) -> Uuid {
    let millis = u64::try_from(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()).unwrap_or_default();
    Builder::from_u128(u128::from(millis) << 80).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::clock;

    #[test]
    fn a_fresh_id_lies_in_the_partition_of_today() {
        let id = clock::new_id();
        let today = crate::dedupe::time_of(id).unwrap().date_naive();
        assert!(floor(today) <= id && id < floor(today.succ_opt().unwrap()));
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn table(text: &str, state: State) -> Table {
        Table {
            name: name(day(text)),
            state,
        }
    }

    /// What is done to each table, by the first word that tells it apart.
    fn told(chores: &[Chore]) -> Vec<(&str, Vec<&str>)> {
        let word = |statement: &String| {
            ["create", "attach", "finalize", "concurrently", "drop"]
                .into_iter()
                .find(|word| statement.contains(word))
                .unwrap()
        };
        let statements = |chore: &Chore| chore.statements.iter().map(word).collect();
        chores
            .iter()
            .map(|chore| {
                let day = chore.table.strip_prefix("processed_event_").unwrap();
                (day, statements(chore))
            })
            .collect()
    }

    #[test]
    fn whatever_state_a_table_was_left_in_it_gets_where_it_belongs() {
        let now = "2026-03-10T12:00:00Z".parse().unwrap();
        let window = Window::new(now, 2);
        let mut found: Vec<Table> = window
            .days(DAYS_AHEAD)
            .map(|day| Table {
                name: name(day),
                state: State::Attached,
            })
            .collect();
        assert_eq!((found.len(), window.to_make(&found)), (10, vec![]));
        found.retain(|table| table.name < name(day("2026-03-15")));
        found.extend([
            table("2026-03-01", State::Detached),
            table("2026-03-02", State::Pending),
            table("2026-03-03", State::Attached),
            // the day before the first is kept
            table("2026-03-07", State::Attached),
            table("2026-03-16", State::Detached),
            table("2026-03-17", State::Pending),
        ]);
        assert_eq!(
            told(&window.to_make(&found)),
            [
                ("20260315", vec!["create"]),
                ("20260316", vec!["attach"]),
                ("20260317", vec!["finalize", "attach"]),
            ]
        );
        assert_eq!(
            told(&window.to_drop(&found)),
            [
                ("20260301", vec!["drop"]),
                ("20260302", vec!["finalize", "drop"]),
                ("20260303", vec!["concurrently", "drop"]),
            ]
        );
    }
}
