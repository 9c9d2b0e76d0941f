//! The broker gets a twentieth of the time, again and again, and afterwards every consumer must find back by itself.
//! `make starve` makes as many rounds as one likes.

use std::time::Duration;

use acceptance::turn;
use stack::chaos::starve::{self, Options};
use stack::platform::Starved;
use stack::process::Share;

/// How long after a round every group has to be whole again. Two things bound it. A client that lost sight of the broker is
/// replaced when it has made no progress for long enough. And the broker itself may be at fault: when it loads its group
/// coordinator anew while it is starved, a group can keep a member that exists no more and whose session never ends. A
/// rebalance then waits for that member for as long as the others say that a rebalance may take, `max.poll.interval.ms`, and
/// neither a new client nor a restart of the process shortens that.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any session: of clients at the group's coordinator, and of the broker at its controller.
const LENGTH: Duration = Duration::from_secs(40);
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_starved_broker_every_consumer_is_back_within_a_minute_and_no_process_was_restarted() {
    let _turn = turn().await;
    let options = Options {
        part: Starved::Kafka,
        share: Share::default(),
        seed: 10,
        rounds: ROUNDS,
        length: LENGTH,
        rate: 2.0,
        patience: PATIENCE,
        binaries: None,
    };
    let outcome = Box::pin(starve::run(&options, &|line| println!("{line}")))
        .await
        .unwrap();
    println!(
        "recovery {:?}, {:?}",
        outcome.recovery(),
        outcome.report.counts.orders
    );
    assert!(
        outcome.is_good(),
        "{:?} {:?} {:#?} {:#?}, logs in {:?}",
        outcome.troubles,
        outcome.placed.unanswered,
        outcome.rounds,
        outcome.report.mismatches,
        outcome.logs
    );
    assert_eq!(outcome.rounds.len(), ROUNDS);
    assert!(outcome.placed.accepted.len() > 150, "there was hardly any load");
}
