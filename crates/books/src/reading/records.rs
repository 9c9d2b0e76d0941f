//! Records of the topics.

use chrono::{DateTime, Utc};
use contracts::Event;
use uuid::Uuid;

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// One fact. Published again after a crash, it stands in several places.
#[derive(Debug, Clone)]
pub struct Fact {
    /// The event's id.
    pub id: Uuid,
    /// Who announced it.
    pub source: String,
    /// The aggregate it is about.
    pub key: Uuid,
    /// Its number among the events of its aggregate.
    pub sequence: u64,
    /// When it was announced.
    pub time: DateTime<Utc>,
    /// The saga.
    pub correlation_id: Uuid,
    /// The event or request that led to it.
    pub causation_id: Uuid,
    /// What it says.
    pub event: Event,
    /// Where it stands, the first place first; nowhere when it was read in the timeline.
    pub places: Vec<Place>,
}

impl Fact {
    /// Its topic's name.
    #[must_use]
    pub const fn topic(&self) -> &'static str {
        self.event.topic().name()
    }
}

/// A dead letter as it was announced.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The record's own event id.
    pub record_id: Uuid,
    /// Whose it is.
    pub service: String,
    /// The row that it left in that service's database.
    pub work_id: Uuid,
    /// `message`, `action` or `publication`.
    pub kind: String,
    /// The topic or action.
    pub name: String,
    /// The aggregate.
    pub key: Option<Uuid>,
    /// The event that died, or that led to the action that died.
    pub event_id: Option<Uuid>,
    /// When it died.
    pub time: DateTime<Utc>,
    /// Where it stands.
    pub places: Vec<Place>,
}

/// A record that is no event.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Where it stands.
    pub place: Place,
    /// Its id, when at least its envelope can be read.
    pub id: Option<Uuid>,
    /// Its Kafka key, when that is an aggregate.
    pub key: Option<Uuid>,
    /// When it was written.
    pub time: DateTime<Utc>,
    /// What is wrong with it.
    pub reason: String,
}
