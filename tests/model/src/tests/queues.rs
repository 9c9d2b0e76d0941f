//! The kernel's protocol between two orders that share everything, and shortcuts that it must not take.

use std::time::Instant;

use super::{A_FACT_FAILS, SOMETHING_DIES};
use crate::queues::{ENDS_WELL, IN_ORDER, KEPT, LEADS_ON, ONCE, Queues, Shortcut, WAITED_FOR};
use stateright::{Checker, Model};

/// The laws that do not hold, with a way to each.
fn broken(queues: Queues) -> Vec<&'static str> {
    explore(queues).0
}

/// The same, with the number of states.
fn explore(queues: Queues) -> (Vec<&'static str>, usize) {
    let begin = Instant::now();
    let what = format!("{queues:?}");
    let checker = queues.checker().threads(2).spawn_dfs().join();
    let seconds = begin.elapsed().as_secs_f32();
    let states = checker.unique_state_count();
    println!("{what}: {states} states explored in {seconds:.1} s");
    let laws = [ONCE, KEPT, IN_ORDER, WAITED_FOR, ENDS_WELL, LEADS_ON].into_iter();
    let found = laws.filter_map(|law| Some((law, checker.discovery(law)?)));
    let found = found.map(|(law, path)| {
        println!("not so: {law}\n{path}");
        law
    });
    (found.collect(), states)
}

fn broken_by(shortcut: Shortcut) -> Vec<&'static str> {
    broken(Queues {
        faults: 1,
        failures: 0,
        shortcut: Some(shortcut),
    })
}

fn broken_by_failures(shortcut: Shortcut) -> Vec<&'static str> {
    broken(Queues {
        faults: 0,
        failures: 2,
        shortcut: Some(shortcut),
    })
}

#[test]
fn whatever_is_committed_is_taken_in_once_and_in_order() {
    let found = explore(Queues {
        faults: 2,
        failures: 0,
        shortcut: None,
    });
    assert_eq!(found, (vec![], SOMETHING_DIES));
}

#[test]
fn a_fact_that_fails_is_waited_for_by_those_of_its_order_and_holds_up_no_other() {
    let found = explore(Queues {
        faults: 1,
        failures: 2,
        shortcut: None,
    });
    assert_eq!(found, (vec![], A_FACT_FAILS));
}

#[test]
fn a_consumer_that_parks_after_it_has_committed_loses_facts() {
    assert!(broken_by_failures(Shortcut::ParkedApart).starts_with(&[KEPT]));
}

#[test]
fn facts_that_do_not_wait_behind_a_parked_one_overtake_it() {
    assert_eq!(broken_by_failures(Shortcut::NoQueue), [WAITED_FOR]);
}

#[test]
fn a_relay_that_only_goes_forward_misses_what_was_committed_late() {
    assert_eq!(broken_by(Shortcut::CursorOnly), [IN_ORDER, ENDS_WELL]);
}

#[test]
fn a_relay_that_deletes_before_kafka_has_it_loses_facts() {
    assert!(broken_by(Shortcut::DeleteFirst).starts_with(&[KEPT]));
}

#[test]
fn a_consumer_that_commits_offsets_first_loses_facts() {
    assert!(broken_by(Shortcut::OffsetsFirst).starts_with(&[KEPT]));
}

#[test]
fn a_consumer_without_memory_applies_facts_twice() {
    assert_eq!(broken_by(Shortcut::NoMemory), [ONCE, ENDS_WELL]);
}

#[test]
fn writers_that_do_not_wait_for_each_other_mix_up_the_order_of_their_facts() {
    assert_eq!(broken_by(Shortcut::NoLock), [IN_ORDER]);
}
