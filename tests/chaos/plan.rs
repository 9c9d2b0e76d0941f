//! Which service crosses which fail point.

use stack::Service;

/// Services abort side by side, each at its own points, one after the other.
pub(crate) const LANES: [(Service, &[&str]); 4] = [
    (
        Service::Order,
        &[
            "command.written",
            "command.committed",
            "relay.scanned",
            "relay.produced",
            "relay.acknowledged",
            "relay.deleted",
            "consumer.written",
            "consumer.committed",
        ],
    ),
    (
        Service::Payment,
        &[
            "provider.asking",
            "provider.answered",
            "action.claimed",
            "work.settled",
            "work.committed",
            "work.died",
            "work.parked",
            "work.claimed",
            "relay.acknowledged",
        ],
    ),
    (
        Service::Notification,
        &[
            "consumer.collected",
            "consumer.written",
            "consumer.committed",
            "consumer.passed",
        ],
    ),
    (Service::Gateway, &["consumer.written", "consumer.passed"]),
];

/// Points that are crossed on the way out, by a service that is told to stop.
pub(crate) const STOPS: [&str; 2] = ["shutdown.drained", "shutdown.finished"];

/// Points of `migrate`.
pub(crate) const MIGRATIONS: [&str; 2] = ["migration.locked", "migration.applied"];
