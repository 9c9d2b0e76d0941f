//! The one place where time and new ids come from. Whatever decides gets them as parameters.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The time now, to the microsecond: what Postgres keeps.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}

/// A new id, ordered by time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the source of ids")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}
