//! What may happen, and how it begins and ends.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::time::{Instant, timeout_at};

use super::change;
use super::world::World;
use crate::error::Result;
use crate::platform::Starved;
use crate::postgres::connect;
use crate::process::Share;
use crate::service::Service;

/// How long connections are taken.
const FILLING: Duration = Duration::from_secs(10);
/// As many partitions a topic may come to have.
const PARTITIONS_MAX: usize = 12;

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
    fn lasts(self) -> (u64, u64) {
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

    fn is_of_service(self) -> bool {
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
    fn starves(self, service: Service) -> Option<Starved> {
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

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    service: Service,
    replica: usize,
    pub(super) lasts: Duration,
    delay: Duration,
    /// Of the pauses of what is starved.
    seed: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.name())?;
        if self.kind.is_of_service() {
            write!(f, " ({})", self.service)?;
        }
        write!(f, " for {} ms", self.lasts.as_millis())
    }
}

/// Faults in the order of a seed: every kind comes once before any comes again.
#[derive(Debug)]
pub(super) struct Deck {
    left: Vec<Kind>,
    /// Whether it begins anew after the last.
    endless: bool,
}

impl Deck {
    /// Each of these once; without any named, all kinds without end.
    pub(super) fn of(each: Option<&[Kind]>, random: &mut StdRng) -> Self {
        let mut left = each.unwrap_or_default().to_vec();
        left.shuffle(random);
        Self {
            left,
            endless: each.is_none(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty() && !self.endless
    }

    pub(super) fn draw(&mut self, random: &mut StdRng) -> Option<Fault> {
        if self.left.is_empty() && self.endless {
            self.left = Kind::ALL.to_vec();
            self.left.shuffle(random);
        }
        let kind = self.left.pop()?;
        let (from, to) = kind.lasts();
        Some(Fault {
            kind,
            service: Service::ALL.choose(random).copied().unwrap_or(Service::Order),
            replica: random.random_range(0..2),
            lasts: Duration::from_millis(random.random_range(from..=to)),
            delay: Duration::from_millis(random.random_range(20..200)),
            seed: random.random(),
        })
    }
}

impl Fault {
    pub(super) async fn begin(&self, world: &mut World) {
        let (service, replica) = (self.service, self.replica);
        let database = world.databases.get(&service);
        match self.kind {
            Kind::Kill => world.stack.kill9_replica(service, replica).await,
            Kind::KillBoth => world.stack.kill9(service).await,
            Kind::Rebalance => {
                // one that is starved as well may need longer than it has
                let obeyed = world.stack.stop_replica(service, replica).await;
                if !obeyed && world.starving.is_empty() {
                    world
                        .unruly
                        .push(format!("{service} was told to stop and had to be killed"));
                }
            }
            Kind::Freeze => world.stack.signal_replica(service, replica, Signal::SIGSTOP),
            Kind::FreezeBoth => world.stack.pause(service),
            Kind::PostgresFast => world.stack.postgres().stop().await,
            Kind::PostgresImmediate => {
                let process = world.stack.postgres().process();
                process.stop(Signal::SIGQUIT, Duration::from_secs(20)).await;
            }
            Kind::PostgresKill => world.stack.postgres().kill9().await,
            Kind::KafkaClean => world.stack.kafka().stop().await,
            Kind::KafkaKill => world.stack.kafka().kill9().await,
            Kind::DatabaseCut => database.iter().for_each(|proxy| proxy.cut()),
            Kind::DatabaseSilent => database.iter().for_each(|proxy| proxy.hold(true)),
            Kind::DatabaseSlow => database.iter().for_each(|proxy| proxy.delay(self.delay)),
            Kind::BrokerCut => world.broker.proxy().cut(),
            Kind::BrokerSilent => world.broker.proxy().hold(true),
            Kind::BrokerSlow => world.broker.proxy().delay(self.delay),
            Kind::PoolFull => fill(world).await,
            Kind::Locked => lock(world, service).await,
            Kind::KafkaStarved | Kind::PostgresStarved | Kind::ServiceStarved | Kind::AllStarved => {
                self.starve(world);
            }
            Kind::BrokerMoved => world.broker.vanish(),
            Kind::PartitionAdded => add_partition(world).await,
        }
    }

    pub(super) async fn end(&self, world: &mut World) -> Result<()> {
        let database = world.databases.get(&self.service);
        match self.kind {
            Kind::Kill | Kind::KillBoth | Kind::Rebalance => world.stack.launch(self.service)?,
            Kind::Freeze | Kind::FreezeBoth => world.stack.resume(self.service),
            Kind::PostgresFast | Kind::PostgresImmediate | Kind::PostgresKill => {
                world.stack.postgres().restart().await?;
            }
            Kind::KafkaClean | Kind::KafkaKill => world.stack.kafka().restart().await?,
            Kind::DatabaseCut => database.iter().for_each(|proxy| proxy.cut()),
            Kind::DatabaseSilent => database.iter().for_each(|proxy| proxy.hold(false)),
            Kind::DatabaseSlow => database.iter().for_each(|proxy| proxy.delay(Duration::ZERO)),
            Kind::BrokerCut => world.broker.proxy().cut(),
            Kind::BrokerSilent => world.broker.proxy().hold(false),
            Kind::BrokerSlow => world.broker.proxy().delay(Duration::ZERO),
            Kind::PoolFull => world.filling.clear(),
            Kind::Locked => world.locks.clear(),
            Kind::KafkaStarved | Kind::PostgresStarved | Kind::ServiceStarved | Kind::AllStarved => {
                drop(world.starving.remove(&self.kind));
            }
            Kind::BrokerMoved => world.broker.reappear().await?,
            Kind::PartitionAdded => {}
        }
        Ok(())
    }

    fn starve(&self, world: &mut World) {
        if let Some(part) = self.kind.starves(self.service) {
            let starvation = world.stack.starve(part, Share::default(), self.seed);
            world.starving.insert(self.kind, starvation);
        }
    }
}

/// Takes connections until PostgreSQL gives no more, or gives them too slowly.
async fn fill(world: &mut World) {
    let url = world.stack.database_url(Service::Notification).to_owned();
    let deadline = Instant::now() + FILLING;
    while let Ok(Ok(client)) = timeout_at(deadline, connect(&url)).await {
        world.filling.push(client);
    }
}

/// Up to a bound: a long run would make more than anybody has. Where the broker is away, there is nothing to add to.
async fn add_partition(world: &World) {
    let brokers = world.stack.brokers();
    if change::partitions(brokers)
        .await
        .is_ok_and(|most| most < PARTITIONS_MAX)
    {
        let _ = change::add_partitions(brokers, 1).await;
    }
}

/// Locks the table that the service cannot do without. Where the database is away, there is nothing to lock.
async fn lock(world: &mut World, service: Service) {
    let table = match service {
        Service::Auth => "users",
        Service::Gateway => "timeline_entry",
        Service::Notification => "notification",
        Service::Order => "orders",
        Service::Payment => "payment",
    };
    let Ok(client) = connect(&world.stack.admin_database_url(service)).await else {
        return;
    };
    let sql = format!("begin; set local lock_timeout = '3s'; lock table {table} in access exclusive mode");
    if client.batch_execute(&sql).await.is_ok() {
        world.locks.push(client);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn kinds(deck: &mut Deck, random: &mut StdRng, number: usize) -> Vec<Kind> {
        let drawn = std::iter::from_fn(|| deck.draw(random)).take(number);
        let mut kinds: Vec<Kind> = drawn.map(|fault| fault.kind).collect();
        kinds.sort_unstable();
        kinds
    }

    #[test]
    fn every_kind_comes_once_before_any_comes_again() {
        let mut random = StdRng::seed_from_u64(1);
        let mut deck = Deck::of(None, &mut random);
        for _round in 0..3 {
            assert_eq!(kinds(&mut deck, &mut random, Kind::ALL.len()), Kind::ALL);
            assert!(!deck.is_empty());
        }
    }

    #[test]
    fn of_those_that_are_named_each_comes_once_and_no_other() {
        let mut random = StdRng::seed_from_u64(1);
        let named = [Kind::Kill, Kind::KafkaKill, Kind::Locked];
        let mut deck = Deck::of(Some(&named), &mut random);
        assert_eq!(kinds(&mut deck, &mut random, usize::MAX), named);
        assert!(deck.is_empty());
    }
}
