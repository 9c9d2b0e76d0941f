//! A short run of chaos: one thing of each class happens. `make chaos` runs it for minutes, with a seed of its own each
//! time.

use std::time::Duration;

use acceptance::turn;
use stack::chaos::{self, Kind, Options};

/// One of each class. A starved broker, one that moves, and partitions that are added have tests of their own, since each
/// takes longer than all of this: `starved.rs` and `topology.rs`. `make chaos` does all of them.
const EACH: [Kind; 13] = [
    Kind::Kill,
    Kind::Rebalance,
    Kind::Freeze,
    Kind::PostgresImmediate,
    Kind::KafkaKill,
    Kind::DatabaseCut,
    Kind::DatabaseSilent,
    Kind::BrokerSlow,
    Kind::PoolFull,
    Kind::Locked,
    Kind::PostgresStarved,
    Kind::ServiceStarved,
    Kind::AllStarved,
];

#[tokio::test]
async fn after_one_fault_of_each_class_nothing_is_lost_nothing_is_doubled_and_no_cent_is_off() {
    let _turn = turn().await;
    let options = Options {
        seed: 20,
        length: Duration::ZERO,
        each: Some(EACH.to_vec()),
        rate: 8.0,
        transactions: Duration::from_secs(10),
        binaries: None,
    };
    let outcome = Box::pin(chaos::run(&options, &|line| println!("{line}")))
        .await
        .unwrap();
    println!(
        "{:?} in {:?}, recovery {:?}",
        outcome.faults,
        outcome.took,
        outcome.recovery()
    );
    assert!(
        outcome.is_good(),
        "{} lost, {} doubled, {} cents off: {:?} {:?} {:#?}, logs in {:?}",
        outcome.lost(),
        outcome.doubled(),
        outcome.minor_units_off(),
        outcome.troubles,
        outcome.placed.unanswered,
        outcome.report.mismatches,
        outcome.logs
    );
    assert!(outcome.placed.accepted.len() > 200, "there was hardly any load");
    for kind in EACH {
        assert_eq!(outcome.faults.get(kind.name()), Some(&1), "{}", kind.name());
    }
    assert!(outcome.held > 0, "no write transaction was kept open");
    assert!(outcome.recovery().is_some(), "no recovery was measured");
}
