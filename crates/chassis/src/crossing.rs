//! Fail points: the places where a process is made to die, to see that nothing is lost or done twice by it.
//!
//! A point is one line, `crossing!("relay.acknowledged");`. In a build with debug assertions (`cargo build`,
//! `cargo test`) a process that is started with `FAILPOINTS=relay.acknowledged=return` aborts there; `5*off->return`
//! lets it pass five times first, `2%return` picks one in fifty. In a build without (`--release`) there is nothing: no
//! point, no look at the environment.
//!
//! The crash tests (`tests/chaos`) cross every point of [`POINTS`] with real processes under load.

use terminal::errln;

/// Every fail point, and where it is. Those of the kernel are crossed by every service.
pub const POINTS: [(&str, &str); 22] = [
    (
        "command.written",
        "an HTTP command or a timer: all is written, not committed",
    ),
    ("command.committed", "… committed, not answered"),
    ("consumer.collected", "a batch is there, nothing of it written"),
    (
        "consumer.written",
        "state, outbox and actions of the batch are written, not committed",
    ),
    ("consumer.committed", "… committed, its offsets not"),
    ("consumer.passed", "the offsets are on their way to the broker"),
    ("work.parked", "a message that failed is parked, not committed"),
    ("work.claimed", "a parked message is claimed for another attempt"),
    (
        "work.died",
        "the last attempt failed: the row is dead, not announced yet",
    ),
    (
        "work.settled",
        "the outcome of claimed work is written, not committed",
    ),
    ("work.committed", "… committed"),
    ("action.claimed", "actions are claimed, none is begun"),
    ("provider.asking", "the payment provider is about to be called"),
    (
        "provider.answered",
        "the provider has answered (and has the money), nobody knows",
    ),
    ("relay.scanned", "outbox rows are read, none is produced"),
    (
        "relay.produced",
        "they are given to the client, none is acknowledged",
    ),
    ("relay.acknowledged", "Kafka has them, the rows are still there"),
    ("relay.deleted", "the rows are deleted"),
    ("migration.locked", "migrations are due and locked, none has run"),
    ("migration.applied", "one migration is applied"),
    ("shutdown.drained", "a stop: HTTP is drained, the loops still run"),
    ("shutdown.finished", "… and the loops have ended"),
];

/// Dies here when the point is armed. Nothing where there are no debug assertions.
#[macro_export]
macro_rules! crossing {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::crossing::cross($name);
    };
}

/// Arms the points that `FAILPOINTS` names, until the returned value ends.
#[cfg(debug_assertions)]
#[must_use]
pub fn arm() -> impl Sized {
    fail::FailScenario::setup()
}

/// Dies, when the point is armed for it.
#[cfg(debug_assertions)]
pub fn cross(name: &str) {
    fail::fail_point!(name, |_argument| die(name));
}

#[cfg(debug_assertions)]
fn die(name: &str) {
    errln!("fail point {name}: abort");
    std::process::abort()
}
