//! A payment that failed and took the money after all.

use contracts::events::PaymentRefunded;
use contracts::{Currency, Money, OrderId, PaymentId, Topic, UserId};
use uuid::Uuid;

use super::world::{PRICE, World};
use super::{kinds, report};
use crate::Kind;
use crate::reading::{Payment, PaymentStatus};

const DECLINED: usize = 1;

/// The declined order's money was taken after all, and given back; `cause` led to that.
fn given_back(world: &mut World, cause: Uuid) {
    let order = &mut world.reading.orders[DECLINED];
    order.refunded = true;
    let key = order.id;
    let payment = &mut world.reading.payments[DECLINED];
    payment.status = PaymentStatus::Refunded;
    payment.failure_code = None;
    payment.provider_reference = Some("ch_late".to_owned());
    payment.refund_reference = Some("re_late".to_owned());
    payment.announced = Some(2);
    let charge = &mut world.reading.charges.as_mut().unwrap()[DECLINED];
    charge.status = "approved".to_owned();
    charge.failure_code = None;
    charge.reference = Some("ch_late".to_owned());
    charge.refund_reference = Some("re_late".to_owned());
    let Payment { id, customer_id, .. } = *payment;
    let refunded = PaymentRefunded {
        payment_id: PaymentId::new(id),
        order_id: OrderId::new(key),
        customer_id: UserId::new(customer_id),
        amount: Money::new(PRICE, Currency::EUR),
        refund_reference: "re_late".to_owned(),
    };
    world.announce("payment", 2, key, cause, refunded.into());
}

/// What led to the declined payment.
fn created(world: &World) -> Uuid {
    let key = world.reading.orders[DECLINED].id;
    let mut facts = world.reading.facts.iter();
    let created = facts.find(|fact| fact.key == key && fact.event.topic() == Topic::OrderCreated);
    created.unwrap().id
}

#[test]
fn money_taken_after_a_failure_and_given_back_balances() {
    let mut world = World::of_every_ending();
    let cause = created(&world);
    given_back(&mut world, cause);
    let report = report(&world);
    assert!(report.balanced, "{:#?}", report.mismatches);
    assert_eq!(report.sums[0].refunded_minor, 2 * PRICE);
}

#[test]
fn a_failed_payment_that_was_announced_as_completed_besides_is_found() {
    let mut world = World::of_every_ending();
    let cause = created(&world);
    given_back(&mut world, cause);
    let key = world.reading.orders[DECLINED].id;
    let completed = world
        .reading
        .facts
        .iter()
        .find(|fact| fact.event.topic() == Topic::PaymentCompleted);
    let contracts::Event::PaymentCompleted(mut completed) = completed.unwrap().event.clone() else {
        panic!("of its topic")
    };
    completed.order_id = OrderId::new(key);
    world.reading.payments[DECLINED].announced = Some(3);
    world.announce("payment", 3, key, cause, completed.into());
    assert!(kinds(&report(&world)).contains(&Kind::FactUnfounded));
}

#[test]
fn what_a_provider_tells_unasked_may_lead_to_a_fact_and_the_simulated_one_tells_nothing() {
    let mut world = World::of_every_ending();
    given_back(&mut world, Uuid::nil());
    assert_eq!(kinds(&report(&world)), [Kind::CausationUnknown]);
    world.reading.payments[DECLINED].provider = "stripe".to_owned();
    assert_eq!(kinds(&report(&world)), []);
}
