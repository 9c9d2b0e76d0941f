//! What is in motion is counted, not judged; unless it is so for too long.

use chrono::TimeDelta;

use super::world::{World, at};
use super::{kinds, report};
use crate::Kind;
use crate::desk::{Outgoing, Work};
use crate::reading::{FactsFrom, OrderStatus};

fn work(world: &mut World, kind: &str, key: uuid::Uuid, state: &str) -> Work {
    let time = world.tick();
    Work {
        id: at(time),
        kind: kind.to_owned(),
        name: "order.created".to_owned(),
        key: Some(key.to_string()),
        event_id: None,
        state: state.to_owned(),
        origin_topic: None,
        origin_partition: None,
        origin_offset: None,
        next_attempt_at: world.reading.begun_at,
        last_failed_at: Some(time),
    }
}

/// The first order is wrong in a way that would be found.
fn wrong() -> (World, uuid::Uuid) {
    let mut world = World::of_every_ending();
    world.reading.orders[0].status = OrderStatus::Pending;
    let id = world.reading.orders[0].id;
    (world, id)
}

#[test]
fn what_has_just_changed_is_in_flight() {
    let (mut world, _) = wrong();
    world.reading.orders[0].updated_at = world.reading.begun_at - TimeDelta::seconds(1);
    let told = report(&world);
    assert!(told.balanced, "{:#?}", told.mismatches);
    assert_eq!(told.counts.in_flight, 1);
    assert!(!told.is_settled());
    // a time to come hides nothing
    world.reading.orders[0].updated_at = world.reading.begun_at + TimeDelta::days(1);
    assert!(!report(&world).balanced);
}

#[test]
fn what_is_to_be_announced_is_in_flight() {
    let (mut world, id) = wrong();
    let created_at = world.tick();
    let row = Outgoing {
        event_id: at(created_at),
        topic: "order.confirmed".to_owned(),
        key: Some(id.to_string()),
        dead_letter_id: None,
        created_at: world.reading.begun_at,
    };
    world.desk("order").outbox.push(row);
    let told = report(&world);
    assert!(told.balanced, "{:#?}", told.mismatches);
    assert_eq!(told.counts.backlog["order"].outbox, 1);
}

#[test]
fn what_is_to_be_done_is_in_flight() {
    for kind in ["message", "action"] {
        let (mut world, id) = wrong();
        let row = work(&mut world, kind, id, "pending");
        world.desk("order").work.push(row);
        assert!(report(&world).balanced);
    }
}

#[test]
fn what_a_consumer_has_not_come_to_is_in_flight() {
    let mut world = World::of_every_ending();
    let (id, place) = (
        world.reading.facts[2].id,
        world.reading.facts[2].places[0].clone(),
    );
    world.desk("order").processed.remove(&id);
    assert_eq!(kinds(&report(&world)), [Kind::EventNotConsumed]);
    let at = (place.topic, place.partition);
    world.desk("order").committed.insert(at, place.offset);
    let told = report(&world);
    assert!(
        told.mismatches
            .iter()
            .all(|mismatch| mismatch.kind == Kind::ConsumerOverdue),
        "{told:#?}"
    );
    assert_eq!(
        (told.counts.in_flight, told.counts.backlog["order"].lag),
        (1, Some(1))
    );
}

#[test]
fn an_event_that_could_not_be_applied_excuses_its_missing_effect() {
    let mut world = World::of_every_ending();
    let told = world.reading.notifications.as_mut().unwrap().remove(2);
    let place = world
        .reading
        .facts
        .iter()
        .find(|fact| fact.id == told.id)
        .unwrap()
        .places[0]
        .clone();
    for (state, excused) in [("dead", true), ("discarded", true), ("replayed", false)] {
        let mut row = work(&mut world, "message", told.order_id.unwrap(), state);
        row.name = "notification.failed.dlq".to_owned();
        row.event_id = Some(told.id);
        row.origin_topic = Some(place.topic.clone());
        world.desk("notification").work = vec![row];
        assert_eq!(
            report(&world).balanced,
            excused,
            "{state}: {:#?}",
            report(&world).mismatches
        );
    }
}

#[test]
fn what_moves_for_too_long_is_told() {
    let hours = TimeDelta::hours(2);
    let mut world = World::of_every_ending();
    // nothing can have begun before its id was made
    world.reading.begun_at += hours;
    world.reading.ended_at += hours;
    let id = world.reading.orders[0].id;
    let mut row = work(&mut world, "message", id, "pending");
    row.next_attempt_at -= hours;
    world.desk("order").work.push(row);
    let created_at = world.tick();
    world.desk("payment").outbox.push(Outgoing {
        event_id: at(created_at),
        topic: "payment.completed".to_owned(),
        key: None,
        dead_letter_id: None,
        created_at,
    });
    assert_eq!(
        kinds(&report(&world)),
        [
            Kind::OrderOverdue,
            Kind::PaymentOverdue,
            Kind::OutboxOverdue,
            Kind::WorkOverdue
        ]
    );
}

#[test]
fn an_order_whose_payment_is_unread_is_not_overdue_until_its_bound() {
    let mut world = World::of_every_ending();
    let later = |world: &mut World, hours| {
        world.reading.begun_at += TimeDelta::hours(hours);
        world.reading.ended_at += TimeDelta::hours(hours);
    };
    later(&mut world, 2);
    let overdue = [Kind::OrderOverdue, Kind::PaymentOverdue];
    assert_eq!(kinds(&report(&world)), overdue);
    // the order service has not read some payment, whose ever it is
    let read = &world.reading.facts[2];
    assert_eq!(read.source, "payment");
    let (id, place) = (read.id, read.places[0].clone());
    world.desk("order").processed.remove(&id);
    let at = (place.topic, place.partition);
    world.desk("order").committed.insert(at, place.offset);
    assert_eq!(
        kinds(&report(&world)),
        [Kind::PaymentOverdue, Kind::ConsumerOverdue]
    );
    later(&mut world, 24);
    let overdue = [Kind::OrderOverdue, Kind::PaymentOverdue, Kind::ConsumerOverdue];
    assert_eq!(kinds(&report(&world)), overdue);
}

#[test]
fn beyond_the_horizon_only_rows_are_compared() {
    let mut world = World::of_every_ending();
    world.reading.horizon = Some(world.reading.begun_at - TimeDelta::minutes(1));
    world.reading.facts.clear();
    assert!(report(&world).balanced, "{:#?}", report(&world).mismatches);
    world.reading.payments.remove(0);
    assert_eq!(
        kinds(&report(&world)),
        [Kind::PaymentMissing, Kind::ChargeWithoutPayment]
    );
}

/// As the gateway reads.
fn interfaces() -> World {
    let mut world = World::of_every_ending();
    let reading = &mut world.reading;
    reading.desks.clear();
    reading.charges = None;
    reading.users = None;
    reading.order_facts = None;
    reading.notifications = None;
    reading.deliveries = None;
    reading.facts_from = FactsFrom::Timeline;
    reading.accepted.clear();
    reading.dead_letters.clear();
    for fact in &mut reading.facts {
        fact.places.clear();
    }
    for order in &mut reading.orders {
        (order.announced, order.payment_id) = (None, None);
    }
    for payment in &mut reading.payments {
        payment.announced = None;
    }
    world
}

#[test]
fn interfaces_alone_are_compared_as_far_as_they_go() {
    let told = report(&interfaces());
    assert!(told.balanced, "{:#?}", told.mismatches);
    assert_eq!(told.counts.in_flight, 1, "the order that waits for its payment");
    assert_eq!(told.sums[0].difference_minor, 0);

    let mut world = interfaces();
    world
        .reading
        .facts
        .retain(|fact| fact.topic() != "order.confirmed");
    assert_eq!(kinds(&report(&world)), [Kind::SequenceGap, Kind::TimelineMissing]);

    let mut world = interfaces();
    world.reading.payments[0].amount.amount_minor += 1;
    assert_eq!(
        kinds(&report(&world)),
        [Kind::FactDiffers, Kind::PaymentAmountDiffers, Kind::SumsDiffer]
    );
}

#[test]
fn interfaces_show_that_an_order_is_held_back_by_the_payment_that_was_announced() {
    let mut world = interfaces();
    world.reading.begun_at += TimeDelta::hours(2);
    world.reading.ended_at += TimeDelta::hours(2);
    let overdue = [Kind::OrderOverdue, Kind::PaymentOverdue];
    assert_eq!(
        kinds(&report(&world)),
        overdue,
        "the one that waits for its payment"
    );
    world.reading.orders[0].status = OrderStatus::Pending;
    let told = report(&world);
    assert_eq!(kinds(&told), overdue);
    let late = told
        .mismatches
        .iter()
        .filter(|found| found.kind == Kind::OrderOverdue);
    assert_eq!(late.count(), 1, "{:#?}", told.mismatches);
}

#[test]
fn an_edited_letter_stands_for_the_one_it_replaced() {
    let mut world = World::of_every_ending();
    let edited = at(world.tick());
    let desk = world.desk("payment");
    let original = std::mem::replace(&mut desk.work[0].id, edited);
    // it died as well
    let mut letter = world.reading.dead_letters[0].clone();
    letter.work_id = edited;
    world.reading.dead_letters.push(letter);
    // it was a message that nobody could read
    world.reading.dead_letters[0].kind = "message".to_owned();
    world.reading.dead_letters[0].event_id = None;
    assert_eq!(
        kinds(&report(&world)),
        [Kind::DeadLetterLost],
        "the original is nowhere"
    );
    world.desk("payment").superseded.insert(original);
    let told = report(&world);
    assert!(told.balanced, "{:#?}", told.mismatches);
}
