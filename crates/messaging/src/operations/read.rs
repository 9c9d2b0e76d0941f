//! Lists, groups and history.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{Document, Filter, Letter, OperationError, Operations};

impl Operations {
    /// Letters, the youngest first, after the letter `after`.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn letters(
        &self,
        state: Option<&str>,
        filter: &Filter,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Letter>, OperationError> {
        let mut conn = self.core.connection().await?;
        Ok(diesel::sql_query(
            "select * from dead_letter where ($1 is null or state = $1)
                and ($2 is null or error_fingerprint = $2) and ($3 is null or key = $3) and ($4 is null or id < $4)
            order by id desc limit $5",
        )
        .bind::<Nullable<Text>, _>(state)
        .bind::<Nullable<Text>, _>(&filter.fingerprint)
        .bind::<Nullable<Bytea>, _>(filter.key.as_ref().map(String::as_bytes))
        .bind::<Nullable<SqlUuid>, _>(after)
        .bind::<BigInt, _>(limit)
        .load(&mut conn)
        .await?)
    }

    /// One letter.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn letter(&self, id: Uuid) -> Result<Letter, OperationError> {
        let mut conn = self.core.connection().await?;
        diesel::sql_query("select * from dead_letter where id = $1")
            .bind::<SqlUuid, _>(id)
            .get_result(&mut conn)
            .await
            .optional()?
            .ok_or(OperationError::NotFound)
    }

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
            "select to_jsonb(a) as document from operation_audit a
            where ($1 is null or subject = $1) and ($2 is null or id < $2) order by id desc limit $3",
        )
        .bind::<Nullable<SqlUuid>, _>(subject)
        .bind::<Nullable<BigInt>, _>(before)
        .bind::<BigInt, _>(limit)
        .load(&mut conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.document).collect())
    }

    /// Open letters by what they died of, the most frequent first, a hundred at most.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn groups(&self) -> Result<Vec<Value>, OperationError> {
        let mut conn = self.core.connection().await?;
        let rows: Vec<Document> = diesel::sql_query(
            "select jsonb_build_object('fingerprint', error_fingerprint, 'count', count(*), 'name', min(name),
                'class', min(error_class), 'first_failed_at', min(first_failed_at),
                'last_failed_at', max(last_failed_at),
                'sample_error', (array_agg(error_message order by last_failed_at desc))[1]) as document
            from dead_letter where state = 'open' group by error_fingerprint order by count(*) desc limit 100",
        )
        .load(&mut conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.document).collect())
    }
}
