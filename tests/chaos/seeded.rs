//! A short run of chaos. `make chaos` runs it for minutes, with a seed of its own each time.

use std::time::Duration;

use acceptance::turn;
use stack::chaos::{self, Options};

#[tokio::test]
async fn after_a_while_of_chaos_nothing_is_lost_nothing_is_doubled_and_no_cent_is_off() {
    let _turn = turn().await;
    let options = Options {
        seed: 20,
        length: Duration::from_secs(45),
        rate: 15.0,
        transactions: Duration::from_secs(10),
        binaries: None,
    };
    let outcome = Box::pin(chaos::run(&options, &|line| println!("{line}")))
        .await
        .unwrap();
    println!("{:?}, recovery {:?}", outcome.faults, outcome.recovery());
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
    assert!(
        outcome.faults.len() > 4,
        "hardly anything happened: {:?}",
        outcome.faults
    );
}
