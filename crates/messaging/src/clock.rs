//! The one place where the kernel reads the clock and makes ids; pure code gets both in a `Context`.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use uuid::Uuid;

/// The present, in the microseconds that PostgreSQL keeps.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the seam")]
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
}

/// A new `UUIDv7`; ids of one process increase.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the seam")]
pub fn fresh_id() -> Uuid {
    Uuid::now_v7()
}
