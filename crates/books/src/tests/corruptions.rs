//! Each relation broken once, and found under its name.

use std::collections::BTreeSet;

use contracts::Topic;

use super::world::{World, at};
use super::{kinds, report};
use crate::Kind;
use crate::reading::{Delivery, OrderStatus, PaymentStatus};

/// Breaks the books in one place.
type Break = fn(&mut World);

fn fact(world: &World, topic: Topic) -> usize {
    let mut facts = world.reading.facts.iter();
    facts.position(|fact| fact.event.topic() == topic).unwrap()
}

fn remove_fact(world: &mut World, topic: Topic) {
    let place = fact(world, topic);
    world.reading.facts.remove(place);
}

fn charges(world: &mut World) -> &mut Vec<crate::reading::Charge> {
    world.reading.charges.as_mut().unwrap()
}

/// An attempt of a delivery is owed, and there is no action.
fn owed_delivery(world: &mut World) -> uuid::Uuid {
    let updated_at = world.tick();
    let id = at(updated_at);
    world.reading.deliveries.as_mut().unwrap().push(Delivery {
        id,
        status: "sending".to_owned(),
        updated_at,
    });
    id
}

/// What to break, the name under which it must be found, and whether nothing else may be found.
const BREAKS: &[(&str, Break, &[Kind])] = &[
    (
        "order line removed",
        |w| w.reading.orders[0].lines.clear(),
        &[Kind::OrderLinesDiffer, Kind::FactDiffers],
    ),
    (
        "order total changed",
        |w| w.reading.orders[0].total.amount_minor = 2000,
        &[
            Kind::OrderLinesDiffer,
            Kind::FactDiffers,
            Kind::PaymentAmountDiffers,
            Kind::SumsDiffer,
        ],
    ),
    (
        "order and its lines changed",
        |w| {
            w.reading.orders[0].total.amount_minor = 2000;
            w.reading.orders[0].lines[0].unit_price.amount_minor = 2000;
        },
        &[Kind::FactDiffers, Kind::PaymentAmountDiffers, Kind::SumsDiffer],
    ),
    (
        "order's customer changed",
        |w| w.reading.orders[0].customer_id = uuid::Uuid::nil(),
        &[Kind::FactDiffers, Kind::PaymentCustomerDiffers],
    ),
    (
        "order removed",
        |w| drop(w.reading.orders.remove(0)),
        &[Kind::OrderMissing, Kind::PaymentWithoutOrder, Kind::SumsDiffer],
    ),
    (
        "accepted order of which nothing is known",
        |w| {
            w.reading
                .accepted
                .extend([at("2026-11-21T11:50:00Z".parse().unwrap())]);
        },
        &[Kind::OrderMissing],
    ),
    (
        "confirmed order set back",
        |w| w.reading.orders[0].status = OrderStatus::Pending,
        &[Kind::OrderBehind, Kind::FactUnfounded, Kind::SumsDiffer],
    ),
    (
        "cancelled order confirmed",
        |w| w.reading.orders[1].status = OrderStatus::Confirmed,
        &[
            Kind::ConfirmedNotPaid,
            Kind::FactUnfounded,
            Kind::FactMissing,
            Kind::SumsDiffer,
        ],
    ),
    (
        "reason of cancellation changed",
        |w| w.reading.orders[1].reason = Some("customer_request".to_owned()),
        &[Kind::FactDiffers],
    ),
    (
        "code of cancellation changed",
        |w| w.reading.orders[1].code = Some("insufficient_funds".to_owned()),
        &[Kind::FactDiffers, Kind::CancellationDiffers],
    ),
    (
        "order names another payment",
        |w| w.reading.orders[0].payment_id = Some(uuid::Uuid::nil()),
        &[Kind::FactDiffers, Kind::PaymentIdDiffers],
    ),
    (
        "refund forgotten",
        |w| w.reading.orders[2].refunded = false,
        &[Kind::RefundDiffers],
    ),
    (
        "payment removed",
        |w| drop(w.reading.payments.remove(0)),
        &[Kind::PaymentMissing, Kind::ChargeWithoutPayment],
    ),
    (
        "payment without order",
        |w| {
            let mut payment = w.reading.payments[1].clone();
            payment.order_id = at("2026-11-21T11:50:00Z".parse().unwrap());
            payment.status = PaymentStatus::Voided;
            payment.announced = Some(0);
            w.reading.payments.push(payment);
        },
        &[Kind::PaymentWithoutOrder],
    ),
    (
        "second payment",
        |w| {
            let mut payment = w.reading.payments[0].clone();
            payment.id = at("2026-11-21T11:50:00Z".parse().unwrap());
            w.reading.payments.insert(0, payment);
        },
        &[Kind::PaymentRepeated, Kind::FactDiffers],
    ),
    (
        "payment's amount changed",
        |w| w.reading.payments[0].amount.amount_minor = 1,
        &[Kind::PaymentAmountDiffers, Kind::FactDiffers, Kind::ChargeDiffers],
    ),
    (
        "refunded payment completed again",
        |w| w.reading.payments[2].status = PaymentStatus::Completed,
        &[Kind::MoneyKept, Kind::FactUnfounded, Kind::RefundUnfounded],
    ),
    (
        "completed payment failed",
        |w| w.reading.payments[0].status = PaymentStatus::Failed,
        &[
            Kind::ConfirmedNotPaid,
            Kind::MoneyKept,
            Kind::FactUnfounded,
            Kind::FactMissing,
        ],
    ),
    (
        "charge duplicated",
        |w| {
            let mut charge = charges(w)[0].clone();
            charge.idempotency_key.push_str("-again");
            charge.reference = Some("ch_again".to_owned());
            charges(w).push(charge);
        },
        &[Kind::ChargedTwice, Kind::SumsDiffer],
    ),
    (
        "charge taken twice after a correction",
        |w| {
            let mut charge = charges(w)[0].clone();
            charge.idempotency_key = format!("{}.{}", charge.idempotency_key, uuid::Uuid::new_v4());
            charge.reference = Some("ch_again".to_owned());
            charges(w).push(charge);
        },
        &[Kind::ChargedTwice, Kind::SumsDiffer],
    ),
    (
        "charge for nobody",
        |w| {
            let mut charge = charges(w)[1].clone();
            charge.idempotency_key = "somebody".to_owned();
            charges(w).push(charge);
        },
        &[Kind::ChargeWithoutPayment],
    ),
    (
        "charge removed",
        |w| drop(charges(w).remove(0)),
        &[Kind::ChargeMissing, Kind::SumsDiffer],
    ),
    (
        "charge's amount changed",
        |w| charges(w)[0].amount.amount_minor = 2000,
        &[Kind::ChargeDiffers, Kind::SumsDiffer],
    ),
    (
        "refund not made",
        |w| charges(w)[2].refund_reference = None,
        &[Kind::ChargeNotRefunded, Kind::SumsDiffer],
    ),
    (
        "refund of what is kept",
        |w| charges(w)[0].refund_reference = Some("re".to_owned()),
        &[Kind::RefundUnfounded, Kind::SumsDiffer],
    ),
    (
        "declined charge approved",
        |w| charges(w)[1].status = "approved".to_owned(),
        &[Kind::MoneyKept, Kind::SumsDiffer],
    ),
    (
        "dispute removed",
        |w| drop(w.reading.disputes.remove(1)),
        &[Kind::FactUnfounded],
    ),
    (
        "lost dispute removed",
        |w| drop(w.reading.disputes.remove(0)),
        &[Kind::FactUnfounded, Kind::SumsDiffer],
    ),
    (
        "lost dispute won",
        |w| w.reading.disputes[0].status = "won".to_owned(),
        &[Kind::FactDiffers, Kind::SumsDiffer],
    ),
    (
        "lost dispute open again",
        |w| w.reading.disputes[0].status = "under_review".to_owned(),
        &[Kind::FactUnfounded, Kind::SumsDiffer],
    ),
    (
        "open dispute lost without a word",
        |w| w.reading.disputes[1].status = "lost".to_owned(),
        &[Kind::FactMissing, Kind::SumsDiffer],
    ),
    (
        "disputed without a word",
        |w| {
            let mut dispute = w.reading.disputes[1].clone();
            dispute.id = at(w.tick());
            w.reading.disputes.push(dispute);
        },
        &[Kind::FactMissing],
    ),
    (
        "dispute's amount changed",
        |w| w.reading.disputes[0].amount.amount_minor = 1,
        &[Kind::FactDiffers, Kind::SumsDiffer],
    ),
    (
        "dispute of another payment",
        |w| w.reading.disputes[0].payment_id = uuid::Uuid::nil(),
        &[Kind::FactDiffers],
    ),
    (
        "dispute of a payment that is not there",
        |w| w.reading.disputes[1].order_id = at("2026-11-21T11:50:00Z".parse().unwrap()),
        &[Kind::PaymentMissing],
    ),
    (
        "dispute announced twice",
        |w| {
            let place = fact(w, Topic::PaymentDisputeClosed);
            let said = w.reading.facts[place].clone();
            w.reading.payments[0].announced = Some(4);
            w.announce("payment", 4, said.correlation_id, said.causation_id, said.event);
        },
        &[Kind::FactRepeated],
    ),
    (
        "payment.dispute_closed lost by the broker",
        |w| remove_fact(w, Topic::PaymentDisputeClosed),
        &[
            Kind::FactMissing,
            Kind::SequenceGap,
            Kind::EventVanished,
            Kind::TimelineWithoutFact,
            Kind::SumsDiffer,
        ],
    ),
    (
        "action removed with its dead letter",
        |w| w.desk("payment").work.clear(),
        &[Kind::DeadLetterLost],
    ),
    (
        "action removed",
        |w| {
            w.desk("payment").work.clear();
            w.reading.dead_letters.clear();
            let timeline = w.reading.timeline.as_mut().unwrap();
            let letter = timeline.pop().unwrap().event_id;
            w.desk("gateway").processed.remove(&letter);
        },
        &[Kind::ActionMissing],
    ),
    (
        "dead letter never announced",
        |w| {
            w.reading.dead_letters.clear();
            let letter = w.reading.timeline.as_mut().unwrap().pop().unwrap().event_id;
            w.desk("gateway").processed.remove(&letter);
        },
        &[Kind::DeadLetterUnannounced],
    ),
    (
        "order.created lost by the broker",
        |w| remove_fact(w, Topic::OrderCreated),
        &[
            Kind::FactMissing,
            Kind::SequenceGap,
            Kind::CausationUnknown,
            Kind::OrderFactDiffers,
            Kind::EventVanished,
            Kind::NotificationWithoutFact,
            Kind::TimelineWithoutFact,
        ],
    ),
    (
        "fact announced twice",
        |w| {
            let place = fact(w, Topic::OrderConfirmed);
            let said = w.reading.facts[place].clone();
            w.announce("order", 2, said.correlation_id, said.causation_id, said.event);
        },
        &[Kind::FactRepeated, Kind::SequenceRepeated],
    ),
    (
        "number left out",
        |w| {
            let place = fact(w, Topic::OrderConfirmed);
            w.reading.facts[place].sequence = 3;
            w.reading.timeline.as_mut().unwrap()[3].sequence = 3;
            w.reading.order_facts.as_mut().unwrap()[1].sequence = 3;
        },
        &[Kind::SequenceGap],
    ),
    (
        "announced, and not kept for those who follow the order",
        |w| drop(w.reading.order_facts.as_mut().unwrap().remove(1)),
        &[Kind::OrderFactDiffers],
    ),
    (
        "kept otherwise than it was announced",
        |w| {
            let rows = w.reading.order_facts.as_mut().unwrap();
            rows[0].event = rows[1].event.clone();
        },
        &[Kind::OrderFactDiffers],
    ),
    (
        "kept, and never announced",
        |w| {
            let rows = w.reading.order_facts.as_mut().unwrap();
            let mut row = rows[1].clone();
            row.sequence = 3;
            rows.push(row);
        },
        &[Kind::OrderFactDiffers],
    ),
    (
        "delivery that nobody attempts",
        |w| {
            owed_delivery(w);
        },
        &[Kind::ActionMissing],
    ),
    (
        "attempt of a delivery removed with its dead letter",
        |w| {
            let id = owed_delivery(w);
            let mut letter = w.reading.dead_letters[0].clone();
            let time = w.tick();
            (letter.record_id, letter.work_id) = (at(time), at(time));
            (letter.service, letter.key) = ("notification".to_owned(), Some(id));
            letter.places.clear();
            w.desk("gateway").processed.insert(letter.record_id);
            let timeline = w.reading.timeline.as_mut().unwrap();
            let mut row = timeline.last().unwrap().clone();
            (row.event_id, row.topic) = (letter.record_id, "notification.failed.dlq".to_owned());
            timeline.push(row);
            w.reading.dead_letters.push(letter);
        },
        &[Kind::DeadLetterLost],
    ),
    (
        "saga's id lost",
        |w| {
            let place = fact(w, Topic::OrderConfirmed);
            w.reading.facts[place].correlation_id = uuid::Uuid::nil();
            w.reading.timeline.as_mut().unwrap()[3].correlation_id = uuid::Uuid::nil();
        },
        &[Kind::CorrelationDiffers],
    ),
    (
        "cause made up",
        |w| {
            let place = fact(w, Topic::OrderConfirmed);
            w.reading.facts[place].causation_id = uuid::Uuid::nil();
            w.reading.timeline.as_mut().unwrap()[3].causation_id = uuid::Uuid::nil();
        },
        &[Kind::CausationUnknown],
    ),
    (
        "event skipped by a consumer",
        |w| {
            let id = w.reading.facts[1].id;
            w.desk("payment").processed.remove(&id);
        },
        &[Kind::EventNotConsumed],
    ),
    (
        "event taken charge of that nobody announced",
        |w| {
            w.desk("order")
                .processed
                .extend([at("2026-11-21T11:50:00Z".parse().unwrap())]);
        },
        &[Kind::EventVanished],
    ),
    (
        "notification removed",
        |w| drop(w.reading.notifications.as_mut().unwrap().remove(2)),
        &[Kind::NotificationMissing],
    ),
    (
        "welcome removed",
        |w| drop(w.reading.notifications.as_mut().unwrap().remove(0)),
        &[Kind::NotificationMissing],
    ),
    (
        "notification to somebody else",
        |w| w.reading.notifications.as_mut().unwrap()[2].user_id = uuid::Uuid::nil(),
        &[Kind::NotificationDiffers],
    ),
    (
        "notification doubled",
        |w| {
            let rows = w.reading.notifications.as_mut().unwrap();
            let mut row = rows[2].clone();
            row.id = at("2026-11-21T11:50:00Z".parse().unwrap());
            rows.push(row);
        },
        &[Kind::NotificationRepeated],
    ),
    (
        "notification made up",
        |w| {
            let rows = w.reading.notifications.as_mut().unwrap();
            let mut row = rows[2].clone();
            row.id = at("2026-11-21T11:50:00Z".parse().unwrap());
            row.kind = "payment_refunded".to_owned();
            rows.push(row);
        },
        &[Kind::NotificationWithoutFact],
    ),
    (
        "timeline entry removed",
        |w| drop(w.reading.timeline.as_mut().unwrap().remove(2)),
        &[Kind::TimelineMissing],
    ),
    (
        "timeline entry changed",
        |w| w.reading.timeline.as_mut().unwrap()[2].source = "nobody".to_owned(),
        &[Kind::TimelineDiffers],
    ),
    (
        "timeline entry made up",
        |w| {
            let rows = w.reading.timeline.as_mut().unwrap();
            let mut row = rows[2].clone();
            row.event_id = at("2026-11-21T11:50:00Z".parse().unwrap());
            rows.push(row);
        },
        &[Kind::TimelineWithoutFact],
    ),
    (
        "user never announced",
        |w| {
            w.user();
            let fact = w.reading.facts.pop().unwrap().id;
            w.reading.notifications.as_mut().unwrap().pop();
            w.reading.timeline.as_mut().unwrap().pop();
            w.desk("notification").processed.remove(&fact);
            w.desk("gateway").processed.remove(&fact);
        },
        &[Kind::FactMissing],
    ),
];

/// What only time breaks: see `moving`, and for the last the tests of `stack books`.
const OVER_TIME: [Kind; 6] = [
    Kind::OrderOverdue,
    Kind::PaymentOverdue,
    Kind::OutboxOverdue,
    Kind::WorkOverdue,
    Kind::ConsumerOverdue,
    Kind::NotSettled,
];

#[test]
fn every_name_is_shown_by_a_break() {
    let broken = BREAKS.iter().flat_map(|(_, _, kinds)| kinds.iter());
    let shown: BTreeSet<Kind> = broken.chain(&OVER_TIME).copied().collect();
    assert_eq!(shown, Kind::ALL.iter().copied().collect());
}

#[test]
fn each_is_found_under_its_name_and_nothing_else_is() {
    for (what, break_it, expected) in BREAKS {
        let mut world = World::of_every_ending();
        break_it(&mut world);
        let report = report(&world);
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(kinds(&report), expected, "{what}: {:#?}", report.mismatches);
        for mismatch in &report.mismatches {
            assert!(
                !mismatch.found.is_empty() && !mismatch.expected.is_empty() && !mismatch.repair.is_empty()
            );
        }
    }
}
