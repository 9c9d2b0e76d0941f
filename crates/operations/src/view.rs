//! What operators see: the shapes of letters, groups, jobs and the audit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chassis::problem::Problem;
use chrono::{DateTime, Utc};
use messaging::operations::Letter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A dead letter in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetter, example = json!({
    "id": "019b7b13-1d4c-7a90-b6e2-3f58c1d07a46",
    "state": "open",
    "kind": "message",
    "name": "payment.completed",
    "key": "019b7b12-b000-7408-a20e-0543f83c7e68",
    "event_id": "019b7b12-b2c8-7c11-b0c4-90e1f1d3a7b2",
    "attempts": 4,
    "deaths": 1,
    "error": {
        "class": "malformed-body",
        "message": "missing field `customer_id` at line 1 column 103",
        "fingerprint": "6f1d0a2b9c3e4f57",
    },
    "first_failed_at": "2026-01-01T12:00:01.062Z",
    "last_failed_at": "2026-01-01T12:00:37.118Z",
    "superseded_by": null,
    "edited_from": null,
    "settled_reason": null,
    "job_id": null,
    "created_at": "2026-01-01T12:00:01.062Z",
    "updated_at": "2026-01-01T12:00:37.118Z",
}))]
pub struct Summary {
    /// Its id; the newer, the greater.
    pub id: Uuid,
    /// `open`, `replaying`, `replayed`, `discarded`, `superseded` or `obsolete`.
    state: String,
    /// `message`, `action` or `publication`.
    kind: String,
    /// The topic of a message or publication, the name of an action.
    name: String,
    /// The Kafka key.
    key: Option<String>,
    event_id: Option<Uuid>,
    /// Failed attempts before its last death.
    attempts: i32,
    /// How often it has died: once, and once for each replay that failed.
    deaths: i32,
    error: ErrorView,
    first_failed_at: Option<DateTime<Utc>>,
    last_failed_at: Option<DateTime<Utc>>,
    /// The edited letter that took its place.
    superseded_by: Option<Uuid>,
    /// The letter that this one is an edit of.
    edited_from: Option<Uuid>,
    /// Why it is obsolete: its purpose is gone, and a replay would do nothing.
    settled_reason: Option<String>,
    /// The bulk replay that sent it round last.
    job_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a letter died of.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetterError)]
pub struct ErrorView {
    class: Option<String>,
    message: Option<String>,
    /// Equal for errors of the same kind; the groups go by it.
    fingerprint: Option<String>,
}

/// A dead letter with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterDetails, example = json!({
    "id": "019b7b13-1d4c-7a90-b6e2-3f58c1d07a46",
    "state": "open",
    "kind": "message",
    "name": "payment.completed",
    "key": "019b7b12-b000-7408-a20e-0543f83c7e68",
    "event_id": "019b7b12-b2c8-7c11-b0c4-90e1f1d3a7b2",
    "attempts": 4,
    "deaths": 1,
    "error": {
        "class": "malformed-body",
        "message": "missing field `customer_id` at line 1 column 103",
        "fingerprint": "6f1d0a2b9c3e4f57",
    },
    "first_failed_at": "2026-01-01T12:00:01.062Z",
    "last_failed_at": "2026-01-01T12:00:37.118Z",
    "superseded_by": null,
    "edited_from": null,
    "settled_reason": null,
    "job_id": null,
    "created_at": "2026-01-01T12:00:01.062Z",
    "updated_at": "2026-01-01T12:00:37.118Z",
    "headers": [["ce_type", "payment.completed.v1"], ["ce_source", "payment"]],
    "payload": {
        "payment_id": "019b7b12-b2c8-7d02-8d5e-7a1f3b0c4d21",
        "order_id": "019b7b12-b000-7408-a20e-0543f83c7e68",
    },
    "payload_base64": "eyJwYXltZW50X2lkIjoiMDE5YjdiMTItYjJjOC03ZDAyLThkNWUtN2ExZjNiMGM0ZDIxIiwib3JkZXJfaWQiOiIwMTliN2IxMi1iMDAwLTc0MDgtYTIwZS0wNTQzZjgzYzdlNjgifQ==",
    "origin": {
        "topic": "payment.completed",
        "partition": 2,
        "offset": 1204,
        "timestamp": "2026-01-01T12:00:00.980Z",
    },
    "history": [],
}))]
pub(crate) struct Whole {
    #[serde(flatten)]
    summary: Summary,
    /// The record's headers: pairs of name and value, in their order.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Value,
    /// The payload decoded, or null when it is no JSON.
    #[schema(value_type = Value)]
    payload: Option<Value>,
    /// The payload as it came.
    payload_base64: Option<String>,
    origin: Origin,
    /// What operators did to it, the youngest first, a hundred at most.
    history: Vec<AuditEntry>,
}

/// Where a letter was read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterOrigin)]
pub(crate) struct Origin {
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp: Option<DateTime<Utc>>,
}

/// Who did what, when and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Counts up within the service.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The admin's user id.
    pub actor: Uuid,
    /// Of letters and jobs `replay`, `edit-and-replay`, `discard`, `restore`, `replay-many`, `stop-replay`; of other things
    /// what the service does, for example `put-product`.
    pub action: String,
    /// The letter or job; null of what is neither.
    #[serde(default)]
    #[schema(required)]
    pub subject: Option<Uuid>,
    /// What is neither: its path, for example `/products/KEYBOARD-TKL`.
    #[serde(default)]
    #[schema(required)]
    pub resource: Option<String>,
    /// The reason, where one is asked for.
    #[serde(default)]
    #[schema(required)]
    pub reason: Option<String>,
    /// How it was before; null of what is new.
    #[schema(value_type = Value)]
    pub before: Option<Value>,
    /// How it was after; null of what is gone.
    #[schema(value_type = Value)]
    pub after: Option<Value>,
}

/// Open letters that died of the same.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetterGroup)]
pub(crate) struct Group {
    fingerprint: Option<String>,
    count: u64,
    /// A topic or action among them.
    name: String,
    /// The error's class.
    class: Option<String>,
    first_failed_at: Option<DateTime<Utc>>,
    last_failed_at: Option<DateTime<Utc>>,
    /// The youngest error.
    sample_error: Option<String>,
}

/// The groups, the largest first, a hundred at most.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterGroups)]
pub(crate) struct Groups {
    pub(crate) items: Vec<Group>,
}

/// A bulk replay.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayJob, example = json!({
    "id": "019b7b20-5a10-7c3d-8e42-6b9f0d1c2e58",
    "state": "running",
    "matched": 120,
    "replayed": 40,
    "failed_again": 1,
    "fingerprint": null,
    "key": null,
    "name": "charge",
    "actor": "019b7a00-0000-7d3a-9c55-2f6d0c6f9a11",
    "reason": "what failed is in order again",
    "rate_per_second": 10,
    "created_at": "2026-01-01T12:15:00.240Z",
    "finished_at": null,
}))]
pub struct Job {
    /// Null of a dry run, which is no job.
    pub id: Option<Uuid>,
    /// `running`, `finished`, `stopped` by an operator, `halted` because too many failed again, or `dry_run`.
    state: String,
    /// Letters that the filter meant when it began.
    matched: u64,
    /// Letters that were sent round so far.
    replayed: u64,
    /// Of them, those that failed again.
    failed_again: u64,
    fingerprint: Option<String>,
    key: Option<String>,
    name: Option<String>,
    actor: Option<Uuid>,
    reason: Option<String>,
    rate_per_second: Option<u32>,
    created_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

/// Reads what the kernel tells as a document into its shape, so that the interface shows what it documents.
pub(crate) fn shaped<T: DeserializeOwned>(document: Value) -> Result<T, Problem> {
    serde_json::from_value(document).map_err(Problem::internal)
}

impl From<&Letter> for Summary {
    fn from(letter: &Letter) -> Self {
        Self {
            id: letter.id,
            state: letter.state.clone(),
            kind: letter.kind.clone(),
            name: letter.name.clone(),
            key: letter
                .key
                .as_deref()
                .map(|key| String::from_utf8_lossy(key).into_owned()),
            event_id: letter.event_id,
            attempts: letter.attempts,
            deaths: letter.deaths,
            error: ErrorView {
                class: letter.error_class.clone(),
                message: letter.error_message.clone(),
                fingerprint: letter.error_fingerprint.clone(),
            },
            first_failed_at: letter.first_failed_at,
            last_failed_at: letter.last_failed_at,
            superseded_by: letter.superseded_by,
            edited_from: letter.edited_from,
            settled_reason: letter.settled_reason.clone(),
            job_id: letter.job_id,
            created_at: letter.created_at,
            updated_at: letter.updated_at,
        }
    }
}

impl Whole {
    /// A letter and its history.
    pub(crate) fn new(letter: Letter, history: Vec<AuditEntry>) -> Self {
        let payload = letter.payload.as_deref();
        Self {
            summary: Summary::from(&letter),
            payload: payload.and_then(|payload| serde_json::from_slice(payload).ok()),
            payload_base64: payload.map(|payload| STANDARD.encode(payload)),
            origin: Origin {
                topic: letter.origin_topic,
                partition: letter.origin_partition,
                offset: letter.origin_offset,
                timestamp: letter.origin_timestamp,
            },
            headers: letter.headers,
            history,
        }
    }
}
