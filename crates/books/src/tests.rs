//! Balanced books, and each relation broken once.

mod corruptions;
mod late;
mod moving;
mod world;

use crate::{Kind, Limits, Report, compare};
use world::World;

fn report(world: &World) -> Report {
    compare(&world.reading, &Limits::default())
}

fn kinds(report: &Report) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = report.mismatches.iter().map(|mismatch| mismatch.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn sagas_of_every_ending_balance() {
    let report = report(&World::of_every_ending());
    assert!(report.balanced, "{:#?}", report.mismatches);
    assert_eq!(report.counts.orders.values().sum::<u64>(), 4);
    assert_eq!(report.counts.in_flight, 0);
    let [sum] = report.sums.as_slice() else {
        panic!("{:?}", report.sums)
    };
    assert_eq!(
        (
            sum.confirmed_minor,
            sum.captured_minor,
            sum.refunded_minor,
            sum.difference_minor
        ),
        (1999, 3998, 1999, 0)
    );
}

#[test]
fn names_on_the_wire_are_those_in_the_code() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

#[test]
fn only_what_is_found_twice_is_told() {
    let mut first = World::of_every_ending();
    first.reading.orders[0].total.amount_minor += 1;
    let mut second = World::of_every_ending();
    second.reading.payments.remove(1);
    let (first, second) = (report(&first), report(&second));
    assert!(!first.balanced && !second.balanced);
    assert!(second.confirming(&first).balanced);
    assert!(!first.clone().confirming(&first).balanced);
}
