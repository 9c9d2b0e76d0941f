//! Failed logins, by account and by client.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;

use super::schema::login_throttle;
use super::{Conn, StoreError};
use crate::domain::throttle::Failures;

/// Whose failures: a keyed hash.
pub(crate) type SubjectKey = [u8; 32];

#[derive(Queryable, Selectable)]
#[diesel(table_name = login_throttle)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct Row {
    subject: Vec<u8>,
    failures: i32,
    blocked_until: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<Row> for (Vec<u8>, Failures) {
    fn from(row: Row) -> Self {
        let failures = Failures {
            count: u32::try_from(row.failures).unwrap_or_default(),
            blocked_until: row.blocked_until,
            expires_at: row.expires_at,
        };
        (row.subject, failures)
    }
}

/// The failures of two subjects.
pub(crate) async fn read(
    conn: &mut Conn,
    subjects: [&SubjectKey; 2],
) -> Result<[Option<Failures>; 2], StoreError> {
    let rows: Vec<Row> = login_throttle::table
        .filter(login_throttle::subject.eq_any(subjects.map(|subject| &subject[..])))
        .select(Row::as_select())
        .load(conn)
        .await?;
    Ok(by_subject(rows, subjects))
}

/// The same, and nobody else counts anything of these subjects until the transaction ends. Locked are the subjects and not
/// their rows alone: a row can be forgotten by one login and made anew by the next, and two that make it in different orders
/// would wait for each other.
pub(crate) async fn lock(
    conn: &mut Conn,
    subjects: [&SubjectKey; 2],
) -> Result<[Option<Failures>; 2], StoreError> {
    let mut keys = subjects.map(lock_key);
    keys.sort_unstable();
    diesel::sql_query("select pg_advisory_xact_lock($1), pg_advisory_xact_lock($2)")
        .bind::<BigInt, _>(keys[0])
        .bind::<BigInt, _>(keys[1])
        .execute(conn)
        .await?;
    let rows: Vec<Row> = login_throttle::table
        .filter(login_throttle::subject.eq_any(subjects.map(|subject| &subject[..])))
        .select(Row::as_select())
        .order(login_throttle::subject)
        .for_update()
        .load(conn)
        .await?;
    Ok(by_subject(rows, subjects))
}

/// Two subjects that share one wait for each other, and that is all.
fn lock_key(subject: &SubjectKey) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *subject;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn by_subject(rows: Vec<Row>, subjects: [&SubjectKey; 2]) -> [Option<Failures>; 2] {
    let found: Vec<(Vec<u8>, Failures)> = rows.into_iter().map(Into::into).collect();
    subjects.map(|subject| {
        found
            .iter()
            .find(|(other, _)| other == subject)
            .map(|(_, failures)| *failures)
    })
}

/// Stores the failures of a locked subject, whether it has a row or not.
pub(crate) async fn save(
    conn: &mut Conn,
    subject: &SubjectKey,
    failures: Failures,
) -> Result<(), StoreError> {
    let values = (
        login_throttle::failures.eq(i32::try_from(failures.count).unwrap_or(i32::MAX)),
        login_throttle::blocked_until.eq(failures.blocked_until),
        login_throttle::expires_at.eq(failures.expires_at),
    );
    diesel::insert_into(login_throttle::table)
        .values((login_throttle::subject.eq(&subject[..]), values))
        .on_conflict(login_throttle::subject)
        .do_update()
        .set(values)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets a subject's failures.
pub(crate) async fn forget(conn: &mut Conn, subject: &SubjectKey) -> Result<(), StoreError> {
    diesel::delete(login_throttle::table.find(&subject[..]))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes a batch of what has expired, without waiting for a row that a login has locked. Answers with how many.
pub(crate) async fn sweep(conn: &mut Conn, now: DateTime<Utc>, batch: i64) -> Result<usize, StoreError> {
    Ok(diesel::sql_query(
        "with expired as (select subject from login_throttle where expires_at < $1
            limit $2 for update skip locked)
        delete from login_throttle t using expired where t.subject = expired.subject",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(batch)
    .execute(conn)
    .await?)
}
