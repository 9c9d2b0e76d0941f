//! Who did what, when and why: written in the transaction of what was done.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{Document, Mandate, OperationError, Operations};
use crate::Conn;

/// What an operator did to something that is no dead letter and no bulk replay.
#[derive(Debug)]
pub struct Deed<'a> {
    /// The operator's user id.
    pub actor: Uuid,
    /// What was done, for example `put-product`.
    pub action: &'a str,
    /// What it was done to: its path in the interface, for example `/products/KEYBOARD-TKL`.
    pub resource: &'a str,
    /// How it was; none of what is new.
    pub before: Option<Value>,
    /// How it is; none of what is gone.
    pub after: Option<Value>,
}

/// What is no dead letter has the nil UUID for a subject, and an empty reason.
const RECORD: &str = "insert into operation_audit (actor, action, subject, resource, reason, before, after)
    values ($1, $2, $3, $4, $5, $6, $7)";

/// Writes down what an operator did, in the transaction of what was done. Secrets and personal data do not belong in it.
///
/// # Errors
/// The database's.
pub async fn record(conn: &mut Conn, deed: Deed<'_>) -> QueryResult<()> {
    diesel::sql_query(RECORD)
        .bind::<SqlUuid, _>(deed.actor)
        .bind::<Text, _>(deed.action)
        .bind::<SqlUuid, _>(Uuid::nil())
        .bind::<Nullable<Text>, _>(Some(deed.resource))
        .bind::<Text, _>("")
        .bind::<Nullable<Jsonb>, _>(deed.before)
        .bind::<Nullable<Jsonb>, _>(deed.after)
        .execute(conn)
        .await
        .map(drop)
}

/// The same of a dead letter or a bulk replay.
pub(super) async fn record_of(
    conn: &mut Conn,
    action: &str,
    subject: Uuid,
    mandate: &Mandate,
    before: Option<Value>,
    after: Option<Value>,
) -> QueryResult<()> {
    diesel::sql_query(RECORD)
        .bind::<SqlUuid, _>(mandate.actor)
        .bind::<Text, _>(action)
        .bind::<SqlUuid, _>(subject)
        .bind::<Nullable<Text>, _>(None::<&str>)
        .bind::<Text, _>(&mandate.reason)
        .bind::<Nullable<Jsonb>, _>(before)
        .bind::<Nullable<Jsonb>, _>(after)
        .execute(conn)
        .await
        .map(drop)
}

impl Operations {
    /// The audit, the youngest first: of one subject, or of all, before the entry `before`.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn audit(
        &self,
        subject: Option<Uuid>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Value>, OperationError> {
        let mut conn = self.core.connection().await?;
        let rows: Vec<Document> = diesel::sql_query(
            "select to_jsonb(a) || jsonb_build_object('subject', nullif(subject, '00000000-0000-0000-0000-000000000000'),
                'reason', nullif(reason, '')) as document from operation_audit a
            where ($1 is null or subject = $1) and ($2 is null or id < $2) order by id desc limit $3",
        )
        .bind::<Nullable<SqlUuid>, _>(subject)
        .bind::<Nullable<BigInt>, _>(before)
        .bind::<BigInt, _>(limit)
        .load(&mut conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.document).collect())
    }
}
