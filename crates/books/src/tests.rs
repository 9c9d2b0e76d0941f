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
    assert_eq!((sum.charged_back_minor, sum.written_off_minor), (1999, 1999));
    assert_eq!(
        report.counts.disputes,
        [("lost".to_owned(), 1), ("needs_response".to_owned(), 1)].into()
    );
}

#[test]
fn an_open_dispute_breaks_nothing_and_says_what_to_do() {
    let mut world = World::of_every_ending();
    let [open] = report(&world).open_disputes.try_into().unwrap();
    assert_eq!(open.order_id, world.reading.orders[2].id);
    let by = open.respond_by.unwrap();
    assert!(
        open.action.contains(&format!("by {by}")) && open.action.contains("the refund is the evidence"),
        "{}",
        open.action
    );

    // of a payment outside of the window, and answered; without a deadline; late
    let mut others: Vec<_> = ["under_review", "warning_needs_response", "needs_response"]
        .into_iter()
        .zip([
            None,
            None,
            Some(world.reading.begun_at - chrono::TimeDelta::days(1)),
        ])
        .map(|(status, respond_by)| {
            let mut dispute = world.reading.disputes[1].clone();
            dispute.id = world::at(world.tick());
            dispute.status = status.to_owned();
            dispute.respond_by = respond_by;
            dispute
        })
        .collect();
    let late = others[2].id;
    world.reading.disputes.append(&mut others);
    let open = report(&world).open_disputes;
    assert_eq!(open.len(), 4);
    assert_eq!(open[0].dispute_id, late, "the one to be answered first");
    assert!(open[0].action.contains("has passed"), "{}", open[0].action);
    let of = |status: &str| open.iter().find(|dispute| dispute.status == status).unwrap();
    assert!(of("under_review").action.starts_with("none"));
    assert!(
        of("warning_needs_response")
            .action
            .contains("see there until when")
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
