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

/// The same, their rows locked until the transaction ends, always in the same order.
pub(crate) async fn lock(
    conn: &mut Conn,
    subjects: [&SubjectKey; 2],
) -> Result<[Option<Failures>; 2], StoreError> {
    let rows: Vec<Row> = login_throttle::table
        .filter(login_throttle::subject.eq_any(subjects.map(|subject| &subject[..])))
        .select(Row::as_select())
        .order(login_throttle::subject)
        .for_update()
        .load(conn)
        .await?;
    Ok(by_subject(rows, subjects))
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

/// Takes a first failure of each subject that has none, so that there is a row to lock. Always in the same order.
pub(crate) async fn ensure(
    conn: &mut Conn,
    subjects: [&SubjectKey; 2],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut ordered = subjects;
    ordered.sort_unstable();
    // A row that has expired already counts as none.
    let rows: Vec<_> = ordered
        .iter()
        .map(|subject| {
            (
                login_throttle::subject.eq(&subject[..]),
                login_throttle::failures.eq(1),
                login_throttle::blocked_until.eq(now),
                login_throttle::expires_at.eq(now),
            )
        })
        .collect();
    diesel::insert_into(login_throttle::table)
        .values(rows)
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// Stores the failures of a subject, whose row is locked or was forgotten a moment ago.
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
