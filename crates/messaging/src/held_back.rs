//! Aggregates whose deadline has passed and which are not judged yet, because not everything about them has been read.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Why deadlines are not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The consumer group has not processed everything that was on its topics.
    Unread,
    /// Kafka does not tell how far the group has read.
    Unanswered,
    /// Everything has been read, but a message about the aggregate is parked and waits for its retry.
    Parked,
    /// Everything has been read, but the database did not take the decision; it is tried again.
    Undecided,
}

impl HoldReason {
    /// As it is written in status and log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Unanswered => "unanswered",
            Self::Parked => "parked",
            Self::Undecided => "undecided",
        }
    }
}

/// Aggregates past their deadline that are not judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HeldBack {
    /// How many.
    pub aggregates: i64,
    /// The deadline of the oldest.
    pub since: DateTime<Utc>,
    /// Why.
    pub reason: HoldReason,
    /// Of them, those that have been held back for longer than the service's bound: an operator must decide.
    pub need_operator: i64,
    /// The oldest that need an operator, ten at most.
    pub operator_decides: Vec<Uuid>,
    /// Everything that was on the topics at this time has been processed; null while that is not known of any time.
    #[schema(required)]
    pub read_through: Option<DateTime<Utc>>,
}

/// What a service's timer holds back, for its status and its metrics; clones share it.
#[derive(Debug, Clone, Default)]
pub struct DeadlineHold(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<Option<HeldBack>>,
    aggregates: Gauge,
    since_seconds: Gauge,
    need_operator: Gauge,
}

impl DeadlineHold {
    /// Makes the metrics show up in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "messaging_deadlines_held_back",
            "Aggregates past their deadline that are not judged because not everything about them has been read",
            self.0.aggregates.clone(),
        );
        registry.register_with_unit(
            "messaging_deadlines_held_back_since_timestamp",
            "The deadline of the oldest aggregate that is held back, 0 while there is none",
            Unit::Seconds,
            self.0.since_seconds.clone(),
        );
        registry.register(
            "messaging_deadlines_need_operator",
            "Aggregates held back for longer than the service's bound",
            self.0.need_operator.clone(),
        );
    }

    /// What is held back from now on; none when nothing is.
    pub fn set(&self, held: Option<HeldBack>) {
        let of = |value: fn(&HeldBack) -> i64| held.as_ref().map_or(0, value);
        self.0.aggregates.set(of(|held| held.aggregates));
        self.0.since_seconds.set(of(|held| held.since.timestamp()));
        self.0.need_operator.set(of(|held| held.need_operator));
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// What is held back.
    #[must_use]
    pub fn get(&self) -> Option<HeldBack> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
