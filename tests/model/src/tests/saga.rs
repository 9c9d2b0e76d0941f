//! Every run of the saga keeps every promise.
use std::time::Instant;

use super::{ONE_ORDER, ONE_ORDER_AND_A_CORRECTION, ONE_ORDER_AND_NOTIFICATIONS, TWO_ORDERS};
use crate::desk::FACTS;
use crate::world::World;
use stateright::{Checker, Expectation, Model};

/// Explores everything, holds it to every law, and sees each ending come up.
fn explore<const N: usize>(what: &str, world: World<N>) -> usize {
    let begin = Instant::now();
    let [alone, ..] = world.places()[..] else {
        panic!("no order at all")
    };
    let checker = world.checker().threads(2).spawn_dfs().join();
    let (states, steps) = (checker.unique_state_count(), checker.state_count());
    let seconds = begin.elapsed().as_secs_f32();
    println!(
        "{what}: {states} states and {steps} steps explored in {seconds:.1} s, {alone} states of an order alone"
    );
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match (property.expectation, found) {
            (Expectation::Sometimes, Some(_)) | (Expectation::Always, None) => {}
            (Expectation::Sometimes, None) => panic!("never seen: {}", property.name),
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                let end = checker.model().describe(path.last_state());
                panic!("not so: {}\n{path}\n{end}", property.name);
            }
            (Expectation::Eventually, None) => panic!("this model has no such property"),
        }
    }
    states
}

#[test]
fn one_order_keeps_every_promise() {
    assert_eq!(explore("one order", World::<1>::of_money(None)), ONE_ORDER);
}

#[test]
fn one_order_whose_charge_an_operator_corrects_keeps_every_promise() {
    let states = explore("one order and a correction", World::<1>::of_corrections(None));
    assert_eq!(states, ONE_ORDER_AND_A_CORRECTION);
}

#[test]
fn one_order_is_told_of_exactly_once() {
    let world = World::<1>::of_notifications(&FACTS, None);
    let states = explore("one order and its notifications", world);
    assert_eq!(states, ONE_ORDER_AND_NOTIFICATIONS);
}

#[test]
fn two_orders_keep_every_promise() {
    let states = explore("two orders", World::<2>::of_money_and_a_willing_kafka());
    // nothing that one does keeps the other from anything: each state of one comes up with each of the other
    let [alone, _] = World::<2>::of_money_and_a_willing_kafka().places();
    assert_eq!(states, alone * (alone + 1) / 2);
    assert_eq!(states, TWO_ORDERS);
}
