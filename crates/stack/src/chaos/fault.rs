//! One thing that happens: how it is drawn, begins and ends.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::time::{Instant, timeout_at};

use super::change;
use super::kind::Kind;
use super::world::World;
use crate::error::Result;
use crate::postgres::connect;
use crate::process::Share;
use crate::service::Service;

/// How long connections are taken.
const FILLING: Duration = Duration::from_secs(10);
/// As many partitions a topic may come to have.
const PARTITIONS_MAX: usize = 12;

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
