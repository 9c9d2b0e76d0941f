//! What may happen in a machine room, how long it lasts and whom it meets.

use crate::platform::Starved;
use crate::service::Service;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One of a service's two processes is killed (`SIGKILL`).
    Kill,
    /// Both are.
    KillBoth,
    /// One is told to stop, and the other takes over what it had.
    Rebalance,
    /// One is frozen (`SIGSTOP`) for longer than the group, its leases and its callers wait.
    Freeze,
    /// Both are.
    FreezeBoth,
    /// PostgreSQL is stopped, its sessions ended (fast).
    PostgresFast,
    /// PostgreSQL is stopped with no checkpoint, and recovers from its log (immediate).
    PostgresImmediate,
    /// PostgreSQL is killed.
    PostgresKill,
    /// Kafka is stopped.
    KafkaClean,
    /// Kafka is killed.
    KafkaKill,
    /// A service's connections to its database are cut.
    DatabaseCut,
    /// They stay open, and nothing comes through.
    DatabaseSilent,
    /// Everything takes longer.
    DatabaseSlow,
    /// All connections to Kafka are cut.
    BrokerCut,
    /// They stay open, and nothing comes through.
    BrokerSilent,
    /// Everything takes longer.
    BrokerSlow,
    /// Somebody else has every connection that PostgreSQL has to give.
    PoolFull,
    /// Somebody else holds a lock on a table of a service for longer than statements may take: its pool fills up.
    Locked,
    /// Kafka gets a twentieth of the time.
    KafkaStarved,
    /// PostgreSQL does, with all its backends.
    PostgresStarved,
    /// Both processes of a service do.
    ServiceStarved,
    /// Everything does, in the same moments, as on a host that gets a share of the processors.
    AllStarved,
    /// The broker's address goes silent, and its name comes to mean another one.
    BrokerMoved,
    /// Every topic of events gets another partition.
    PartitionAdded,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Kill,
        Self::KillBoth,
        Self::Rebalance,
        Self::Freeze,
        Self::FreezeBoth,
        Self::PostgresFast,
        Self::PostgresImmediate,
        Self::PostgresKill,
        Self::KafkaClean,
        Self::KafkaKill,
        Self::DatabaseCut,
        Self::DatabaseSilent,
        Self::DatabaseSlow,
        Self::BrokerCut,
        Self::BrokerSilent,
        Self::BrokerSlow,
        Self::PoolFull,
        Self::Locked,
        Self::KafkaStarved,
        Self::PostgresStarved,
        Self::ServiceStarved,
        Self::AllStarved,
        Self::BrokerMoved,
        Self::PartitionAdded,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 of one",
            Self::KillBoth => "kill -9 of both",
            Self::Rebalance => "stop of one",
            Self::Freeze => "freeze of one",
            Self::FreezeBoth => "freeze of both",
            Self::PostgresFast => "postgres fast restart",
            Self::PostgresImmediate => "postgres immediate restart",
            Self::PostgresKill => "postgres kill -9",
            Self::KafkaClean => "kafka clean restart",
            Self::KafkaKill => "kafka kill -9",
            Self::DatabaseCut => "database cut",
            Self::DatabaseSilent => "database silent",
            Self::DatabaseSlow => "database slow",
            Self::BrokerCut => "kafka cut",
            Self::BrokerSilent => "kafka silent",
            Self::BrokerSlow => "kafka slow",
            Self::PoolFull => "connections used up",
            Self::Locked => "table locked",
            Self::KafkaStarved => "kafka starved",
            Self::PostgresStarved => "postgres starved",
            Self::ServiceStarved => "service starved",
            Self::AllStarved => "everything starved",
            Self::BrokerMoved => "kafka on another address",
            Self::PartitionAdded => "partition added",
        }
    }

    /// For how many milliseconds, from and to.
    pub(super) fn lasts(self) -> (u64, u64) {
        match self {
            Self::Kill | Self::KillBoth | Self::Rebalance => (0, 2_000),
            Self::DatabaseCut | Self::BrokerCut => (200, 1_500),
            Self::PostgresFast | Self::PostgresImmediate | Self::PostgresKill => (200, 3_000),
            Self::KafkaClean | Self::KafkaKill => (500, 4_000),
            // longer than a session of the consumer group and than the lease of an action
            Self::Freeze | Self::FreezeBoth => (8_500, 12_000),
            Self::DatabaseSilent | Self::BrokerSilent => (3_000, 8_000),
            Self::DatabaseSlow | Self::BrokerSlow | Self::PoolFull => (3_000, 6_000),
            // several times as long as a statement may take
            Self::Locked => (5_000, 10_000),
            // this is what it takes until a client loses sight of the broker for good
            Self::KafkaStarved => (20_000, 40_000),
            Self::PostgresStarved | Self::ServiceStarved | Self::AllStarved => (5_000, 10_000),
            Self::BrokerMoved => (3_000, 8_000),
            Self::PartitionAdded => (0, 1_000),
        }
    }

    pub(super) fn is_of_service(self) -> bool {
        match self {
            Self::Kill
            | Self::KillBoth
            | Self::Rebalance
            | Self::Freeze
            | Self::FreezeBoth
            | Self::DatabaseCut
            | Self::DatabaseSilent
            | Self::DatabaseSlow
            | Self::Locked
            | Self::ServiceStarved => true,
            Self::PostgresFast
            | Self::PostgresImmediate
            | Self::PostgresKill
            | Self::KafkaClean
            | Self::KafkaKill
            | Self::BrokerCut
            | Self::BrokerSilent
            | Self::BrokerSlow
            | Self::PoolFull
            | Self::KafkaStarved
            | Self::PostgresStarved
            | Self::AllStarved
            | Self::BrokerMoved
            | Self::PartitionAdded => false,
        }
    }

    /// What it starves.
    pub(super) fn starves(self, service: Service) -> Option<Starved> {
        match self {
            Self::KafkaStarved => Some(Starved::Kafka),
            Self::PostgresStarved => Some(Starved::Postgres),
            Self::ServiceStarved => Some(Starved::Service(service)),
            Self::AllStarved => Some(Starved::Everything),
            Self::Kill
            | Self::KillBoth
            | Self::Rebalance
            | Self::Freeze
            | Self::FreezeBoth
            | Self::PostgresFast
            | Self::PostgresImmediate
            | Self::PostgresKill
            | Self::KafkaClean
            | Self::KafkaKill
            | Self::DatabaseCut
            | Self::DatabaseSilent
            | Self::DatabaseSlow
            | Self::BrokerCut
            | Self::BrokerSilent
            | Self::BrokerSlow
            | Self::PoolFull
            | Self::Locked
            | Self::BrokerMoved
            | Self::PartitionAdded => None,
        }
    }
}
