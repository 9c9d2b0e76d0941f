//! What operators see and do about dead letters. Every action locks its row, moves the state machine, and writes
//! its audit in one transaction; the same action again answers the same without acting twice.

mod act;
mod audit;
mod job;
mod pace;
mod read;
mod status;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contracts::InvalidField;
use diesel::prelude::*;
use diesel::sql_types::{Bytea, Int4, Int8, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

pub use act::Act;
pub use audit::{Deed, record};
pub use read::LetterQuery;
pub use status::{Backlog, Counts, Stats, Status, Totals};

use crate::kernel::Core;
use crate::once::KeyError;
use crate::{BrokerState, Outage};

/// Why an operation was not carried out.
#[derive(Debug, Error)]
pub enum OperationError {
    /// No such letter or job.
    #[error("there is no such dead letter or job")]
    NotFound,
    /// Its state forbids it.
    #[error("it is {0}, which forbids this")]
    Conflict(String),
    /// Its purpose is gone.
    #[error("it is obsolete: {0}")]
    Obsolete(String),
    /// The payload in its place is none.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<InvalidField>),
    /// The idempotency key is not this request's.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database would not.
    #[error("database: {0}")]
    Database(#[from] diesel::result::Error),
    /// There was no connection.
    #[error(transparent)]
    Outage(#[from] Outage),
}

/// Who does something, and why.
#[derive(Debug, Clone)]
pub struct Mandate {
    /// The admin's user id.
    pub actor: Uuid,
    /// The reason given.
    pub reason: String,
}

/// Which letters a bulk replay means; nothing set is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The error's fingerprint.
    pub fingerprint: Option<String>,
    /// The Kafka key.
    pub key: Option<String>,
    /// The topic or action.
    pub name: Option<String>,
}

/// A dead letter as it is remembered.
#[derive(Debug, Clone, QueryableByName)]
#[allow(missing_docs, reason = "columns of dead_letter")]
pub struct Letter {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Nullable<Bytea>)]
    pub key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub event_id: Option<Uuid>,
    #[diesel(sql_type = Jsonb)]
    pub headers: Value,
    #[diesel(sql_type = Nullable<Bytea>)]
    pub payload: Option<Vec<u8>>,
    #[diesel(sql_type = Int4)]
    pub attempts: i32,
    #[diesel(sql_type = Int4)]
    pub deaths: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pub origin_topic: Option<String>,
    #[diesel(sql_type = Nullable<Int4>)]
    pub origin_partition: Option<i32>,
    #[diesel(sql_type = Nullable<Int8>)]
    pub origin_offset: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub origin_timestamp: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    pub error_class: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub error_message: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub error_fingerprint: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub first_failed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_failed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub superseded_by: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub edited_from: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    pub settled_reason: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub job_id: Option<Uuid>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub updated_at: DateTime<Utc>,
}

impl Letter {
    fn audited(&self) -> Value {
        json!({
            "state": self.state, "deaths": self.deaths, "superseded_by": self.superseded_by,
            "edited_from": self.edited_from,
            "error_fingerprint": self.error_fingerprint, "job_id": self.job_id,
        })
    }
}

/// A document that the database made.
#[derive(QueryableByName)]
pub(crate) struct Document {
    #[diesel(sql_type = Jsonb)]
    pub(crate) document: Value,
}

/// The operations on one service's dead letters; clones share them.
#[derive(Clone)]
pub struct Operations {
    pub(crate) core: Arc<Core>,
    pub(crate) broker: BrokerState,
}
