//! Lists and groups.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{Document, Letter, OperationError, Operations};

/// Which letters a list shows; nothing set is all.
#[derive(Debug, Clone, Default)]
pub struct LetterQuery {
    /// `open`, `replaying`, `replayed`, `discarded`, `superseded` or `obsolete`.
    pub state: Option<String>,
    /// The topic of a message or publication, the name of an action; or the topic that an action's cause was read from.
    pub topic: Option<String>,
    /// The error's class.
    pub class: Option<String>,
    /// The error's fingerprint.
    pub fingerprint: Option<String>,
    /// The Kafka key.
    pub key: Option<String>,
    /// The letter itself, its event, or its Kafka key: a saga's key is the order's id.
    pub about: Option<Uuid>,
    /// Only those that died last at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those that died last before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only those that come after this one in the list.
    pub before: Option<Uuid>,
}

impl Operations {
    /// Letters, the youngest first.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn letters(&self, query: &LetterQuery, limit: i64) -> Result<Vec<Letter>, OperationError> {
        let mut conn = self.core.connection().await?;
        Ok(diesel::sql_query(
            "select * from dead_letter where ($1 is null or state = $1)
                and ($2 is null or name = $2 or origin_topic = $2) and ($3 is null or error_class = $3)
                and ($4 is null or error_fingerprint = $4) and ($5 is null or key = $5)
                and ($6 is null or id = $6 or event_id = $6 or key = convert_to($6::text, 'UTF8'))
                and ($7 is null or coalesce(last_failed_at, created_at) >= $7)
                and ($8 is null or coalesce(last_failed_at, created_at) < $8) and ($9 is null or id < $9)
            order by id desc limit $10",
        )
        .bind::<Nullable<Text>, _>(&query.state)
        .bind::<Nullable<Text>, _>(&query.topic)
        .bind::<Nullable<Text>, _>(&query.class)
        .bind::<Nullable<Text>, _>(&query.fingerprint)
        .bind::<Nullable<Bytea>, _>(query.key.as_ref().map(String::as_bytes))
        .bind::<Nullable<SqlUuid>, _>(query.about)
        .bind::<Nullable<Timestamptz>, _>(query.from)
        .bind::<Nullable<Timestamptz>, _>(query.to)
        .bind::<Nullable<SqlUuid>, _>(query.before)
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
