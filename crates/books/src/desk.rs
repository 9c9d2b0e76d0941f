//! What the messaging kernel has on one service's desk: to publish, to do, given up, taken charge of.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::Topic;
use serde::Deserialize;
use uuid::Uuid;

use crate::reading::Place;

/// The kernel's tables of one service, and how far its consumers have come.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// Records that wait for their way to Kafka.
    pub outbox: Vec<Outgoing>,
    /// Work that is owed, or was given up.
    pub work: Vec<Work>,
    /// Dead letters in whose place an operator has put an edited one.
    pub superseded: HashSet<Uuid>,
    /// Ids of the events that the service has taken charge of.
    pub processed: HashSet<Uuid>,
    /// Older ids have been forgotten.
    pub remembers_from: Option<DateTime<Utc>>,
    /// The offset after the last one committed, by topic and partition.
    pub committed: HashMap<(String, i32), i64>,
}

/// A row of the outbox.
#[derive(Debug, Clone, Deserialize)]
pub struct Outgoing {
    /// The event.
    pub event_id: Uuid,
    /// Where it goes.
    pub topic: String,
    /// Its aggregate.
    pub key: Option<String>,
    /// The dead letter that it announces.
    pub dead_letter_id: Option<String>,
    /// Since when it waits.
    pub created_at: DateTime<Utc>,
}

/// A row of the work table.
#[derive(Debug, Clone, Deserialize)]
pub struct Work {
    /// Its id.
    pub id: Uuid,
    /// `message`, `action` or `publication`.
    pub kind: String,
    /// The topic or action.
    pub name: String,
    /// Its aggregate.
    pub key: Option<String>,
    /// The message's event, or the event that led to the action.
    pub event_id: Option<Uuid>,
    /// `pending`, `dead`, or what an operator has made of it.
    pub state: String,
    /// Where the message stood.
    pub origin_topic: Option<String>,
    /// Where the message stood.
    pub origin_partition: Option<i32>,
    /// Where the message stood.
    pub origin_offset: Option<i64>,
    /// When it is due.
    pub next_attempt_at: DateTime<Utc>,
    /// When it last failed.
    pub last_failed_at: Option<DateTime<Utc>>,
}

impl Outgoing {
    /// The aggregate, when the key is one.
    #[must_use]
    pub fn aggregate(&self) -> Option<Uuid> {
        self.key.as_deref()?.parse().ok()
    }
}

impl Work {
    /// The aggregate, when the key is one.
    #[must_use]
    pub fn aggregate(&self) -> Option<Uuid> {
        self.key.as_deref()?.parse().ok()
    }

    /// Whether it will be done by itself.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state == "pending"
    }

    /// Whether it was given up and nobody has done anything about it.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state == "dead"
    }

    /// Whether its effect is accounted for by this row: it is to come, was given up, or was discarded by an operator.
    /// What was replayed must show its effect.
    #[must_use]
    pub fn excuses(&self) -> bool {
        !matches!(self.state.as_str(), "replayed" | "done" | "superseded")
    }

    /// Whether it is a message that stood there.
    #[must_use]
    pub fn came_from(&self, place: &Place) -> bool {
        self.kind == "message"
            && self.origin_topic.as_deref() == Some(&place.topic)
            && self.origin_partition == Some(place.partition)
            && self.origin_offset == Some(place.offset)
    }
}

/// Who consumes a topic.
#[must_use]
pub const fn consumers(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::OrderCreated | Topic::OrderCancelled => &["payment", "notification", "gateway"],
        Topic::PaymentCompleted | Topic::PaymentFailed | Topic::PaymentRefunded => {
            &["order", "notification", "gateway"]
        }
        Topic::OrderConfirmed | Topic::UserRegistered => &["notification", "gateway"],
        Topic::SessionRevoked
        | Topic::PaymentDisputed
        | Topic::PaymentDisputeClosed
        | Topic::AuthDeadLetters
        | Topic::GatewayDeadLetters
        | Topic::NotificationDeadLetters
        | Topic::OrderDeadLetters
        | Topic::PaymentDeadLetters => &["gateway"],
    }
}
