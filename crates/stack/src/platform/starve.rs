//! Parts of the stack that get a share of the time.

use std::fmt;

use super::Stack;
use crate::process::{Process, Share, Starvation};
use crate::service::Service;

/// What is starved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starved {
    /// The broker.
    Kafka,
    /// The database server with all its backends.
    Postgres,
    /// Every process of a service.
    Service(Service),
    /// Everything at once, as on a host that gets a share of the processors: all processes run in the same moments, and
    /// contend for them.
    Everything,
}

impl fmt::Display for Starved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kafka => f.pad("kafka"),
            Self::Postgres => f.pad("postgres"),
            Self::Service(service) => f.pad(service.name()),
            Self::Everything => f.pad("the whole stack"),
        }
    }
}

impl Stack {
    /// Begins to starve a part of the stack, until the returned value is dropped. What is started meanwhile is spared.
    pub fn starve(&mut self, part: Starved, share: Share, seed: u64) -> Starvation {
        let is_it = |service| part == Starved::Everything || part == Starved::Service(service);
        let mut processes: Vec<&Process> = Vec::new();
        if matches!(part, Starved::Kafka | Starved::Everything) {
            processes.push(self.kafka.process());
        }
        if matches!(part, Starved::Postgres | Starved::Everything) {
            processes.push(self.postgres.process());
        }
        let instances = self.instances.iter();
        let starved = instances.filter(|instance| is_it(instance.service));
        processes.extend(starved.map(|instance| &instance.process));
        Starvation::begin(processes, share, seed)
    }
}
