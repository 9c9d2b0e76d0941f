//! The state machine: its stories one by one, then any sequence of facts and commands at all.

use contracts::{Currency, Event};

use super::*;
use crate::domain::PaymentMethods;

mod properties;

const CUSTOMER: UserId = UserId::new(uuid(1));
const STRANGER: UserId = UserId::new(uuid(2));
const PAYMENT: PaymentId = PaymentId::new(uuid(3));
const OTHER_PAYMENT: PaymentId = PaymentId::new(uuid(4));

const fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x01936d9a_7c00_7000_8000_000000000000 + number)
}

fn euros(amount_minor: i64) -> Money {
    Money::new(amount_minor, Currency::EUR)
}

/// The context of the step at this second.
fn at(second: u32) -> Context {
    let start: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
    Context {
        now: start + chrono::TimeDelta::seconds(i64::from(second)),
        fresh_id: uuid(100 + u128::from(second)),
        cause_id: uuid(1_000_000 + u128::from(second)),
        correlation_id: uuid(100),
    }
}

fn product(sku: &str, unit_price: Money) -> Product {
    Product {
        sku: sku.to_owned(),
        name: format!("A {sku}"),
        unit_price,
        active: true,
    }
}

fn visa() -> PaymentMethod {
    PaymentMethods::Simulated.find("pm_card_visa").unwrap()
}

/// An order of two teas and a cake, just placed.
fn placed() -> Order {
    let products = [
        (product("TEA", euros(450)), 2),
        (product("CAKE", euros(1_299)), 1),
    ];
    place(CUSTOMER, &products, visa(), &at(0)).unwrap().state
}

fn confirmed() -> Order {
    moved(on_payment_completed(Some(placed()), &paid(&placed()), &at(1))).state
}

fn cancelled() -> Order {
    moved(cancel(Some(placed()), Some(CUSTOMER), &at(1))).state
}

fn paid(order: &Order) -> PaymentCompleted {
    PaymentCompleted {
        payment_id: PAYMENT,
        order_id: order.id,
        customer_id: order.customer_id,
        amount: order.total,
        provider: "simulated".to_owned(),
        provider_reference: "ch_1".to_owned(),
    }
}

fn refused(order: &Order) -> PaymentFailed {
    PaymentFailed {
        payment_id: PAYMENT,
        order_id: order.id,
        customer_id: order.customer_id,
        amount: order.total,
        failure_code: "card_declined".to_owned(),
    }
}

fn given_back(order: &Order) -> PaymentRefunded {
    PaymentRefunded {
        payment_id: PAYMENT,
        order_id: order.id,
        customer_id: order.customer_id,
        amount: order.total,
        refund_reference: "re_1".to_owned(),
    }
}

#[track_caller]
fn moved<E: std::fmt::Debug>(step: Result<Step<Order>, E>) -> Transition<Order> {
    match step {
        Ok(Step::Next(transition)) => transition,
        other => panic!("it did not move: {other:?}"),
    }
}

#[track_caller]
fn rejected(step: Reaction<Order>) -> &'static str {
    step.unwrap_err().class
}

fn because(order: &Order) -> Option<(CancellationReason, Option<&str>, bool)> {
    match &order.status {
        Status::Cancelled {
            reason,
            code,
            refunded,
        } => Some((*reason, code.as_deref(), *refunded)),
        Status::Pending | Status::Confirmed { .. } => None,
    }
}

#[test]
fn placing_takes_prices_and_names_from_the_catalogue_and_announces_the_order() {
    let products = [
        (product("TEA", euros(450)), 2),
        (product("CAKE", euros(1_299)), 1),
    ];
    let placed = place(CUSTOMER, &products, visa(), &at(0)).unwrap();
    let order = &placed.state;
    assert_eq!(order.id, OrderId::new(at(0).fresh_id));
    assert_eq!(
        (order.status.clone(), order.total),
        (Status::Pending, euros(2_199))
    );
    assert_eq!((order.created_at, order.updated_at), (at(0).now, at(0).now));
    assert!(placed.actions.is_empty());
    let [created] = &placed.events[..] else {
        panic!("{:?}", placed.events)
    };
    let line = |sku: &str, quantity, price| OrderLine {
        sku: sku.to_owned(),
        name: format!("A {sku}"),
        quantity,
        unit_price: euros(price),
    };
    assert_eq!(created.sequence, 1);
    assert_eq!(
        created.event,
        Event::OrderCreated(OrderCreated {
            order_id: order.id,
            customer_id: CUSTOMER,
            items: vec![line("TEA", 2, 450), line("CAKE", 1, 1_299)],
            total: euros(2_199),
            payment_method: "pm_card_visa".to_owned(),
        })
    );
}

#[test]
fn what_cannot_be_ordered_is_named_by_its_line() {
    let attempt = |products: &[(Product, i32)]| place(CUSTOMER, products, visa(), &at(0)).unwrap_err();
    let tea = || product("TEA", euros(450));
    assert_eq!(attempt(&[]), PlaceError::Empty);
    for quantity in [0, -1, i32::MIN] {
        let error = attempt(&[(tea(), 1), (tea(), quantity)]);
        assert_eq!(error, PlaceError::Quantity { line: 1 });
    }
    let gone = Product {
        active: false,
        ..tea()
    };
    let sku = "TEA".to_owned();
    assert_eq!(attempt(&[(gone, 1)]), PlaceError::Inactive { line: 0, sku });
    let dollars = product("PIE", Money::new(1, Currency::USD));
    let source = MoneyError::CurrencyMismatch(Currency::EUR, Currency::USD);
    assert_eq!(
        attempt(&[(tea(), 1), (dollars, 1)]),
        PlaceError::Total { line: 1, source }
    );
    let source = MoneyError::Overflow;
    let dear = product("YACHT", euros(i64::MAX / 2 + 1));
    assert_eq!(
        attempt(&[(dear.clone(), 2)]),
        PlaceError::Total { line: 0, source }
    );
    assert_eq!(
        attempt(&[(dear.clone(), 1), (dear, 1)]),
        PlaceError::Total { line: 1, source }
    );
}

#[test]
fn a_payment_confirms_the_order() {
    let step = moved(on_payment_completed(Some(placed()), &paid(&placed()), &at(1)));
    assert_eq!(step.state.status, Status::Confirmed { payment_id: PAYMENT });
    assert_eq!(step.state.updated_at, at(1).now);
    let announced = OrderConfirmed {
        order_id: placed().id,
        customer_id: CUSTOMER,
        payment_id: PAYMENT,
        total: placed().total,
    };
    assert_eq!(
        (step.events[0].sequence, &step.events[0].event),
        (2, &announced.into())
    );
}

#[test]
fn a_refused_payment_cancels_the_order() {
    let step = moved(on_payment_failed(Some(placed()), &refused(&placed()), &at(1)));
    let reason = CancellationReason::PaymentFailed;
    assert_eq!(because(&step.state), Some((reason, Some("card_declined"), false)));
    let announced = OrderCancelled {
        order_id: placed().id,
        customer_id: CUSTOMER,
        total: placed().total,
        reason,
        code: Some("card_declined".to_owned()),
    };
    assert_eq!(
        (step.events[0].sequence, &step.events[0].event),
        (2, &announced.into())
    );
}

#[test]
fn the_customer_or_an_admin_takes_it_back_before_or_after_it_is_paid() {
    for order in [placed(), confirmed()] {
        for by in [Some(CUSTOMER), None] {
            let step = moved(cancel(Some(order.clone()), by, &at(2)));
            let reason = CancellationReason::CustomerRequest;
            assert_eq!(because(&step.state), Some((reason, None, false)));
            assert_eq!(step.events[0].sequence, order.announced + 1);
        }
    }
}

#[test]
fn nobody_takes_back_what_is_not_theirs_or_what_has_ended() {
    let attempt = |order, by| cancel(order, by, &at(2)).unwrap_err();
    assert_eq!(attempt(None, Some(CUSTOMER)), CancelError::NotFound);
    assert_eq!(attempt(None, None), CancelError::NotFound);
    // also of one that has ended: what it is, is not a stranger's to know
    for order in [placed(), confirmed(), cancelled()] {
        assert_eq!(attempt(Some(order), Some(STRANGER)), CancelError::NotFound);
    }
    let reason = CancellationReason::CustomerRequest;
    assert_eq!(
        attempt(Some(cancelled()), Some(CUSTOMER)),
        CancelError::AlreadyCancelled(reason)
    );
}

#[test]
fn money_that_arrives_too_late_does_not_revive_the_order() {
    let late = on_payment_completed(Some(cancelled()), &paid(&placed()), &at(2));
    assert_eq!(late, Ok(Step::Unchanged));
    let late = on_payment_failed(Some(cancelled()), &refused(&placed()), &at(2));
    assert_eq!(late, Ok(Step::Unchanged));
}

#[test]
fn money_given_back_is_noted_on_a_cancelled_order() {
    let step = moved(on_payment_refunded(
        Some(cancelled()),
        &given_back(&placed()),
        &at(2),
    ));
    let reason = CancellationReason::CustomerRequest;
    assert_eq!(because(&step.state), Some((reason, None, true)));
    assert_eq!(step.state.updated_at, at(2).now);
    assert!(step.events.is_empty());
    let again = on_payment_refunded(Some(step.state), &given_back(&placed()), &at(3));
    assert_eq!(again, Ok(Step::Unchanged));
}

#[test]
fn an_order_that_waited_too_long_is_cancelled() {
    let patience = chrono::TimeDelta::seconds(900);
    for second in [900, 901, 90_000] {
        let Step::Next(step) = expire(Some(placed()), patience, &at(second)) else {
            panic!("it waits on at {second}")
        };
        let reason = CancellationReason::PaymentTimeout;
        assert_eq!(because(&step.state), Some((reason, None, false)));
        assert_eq!(step.state.updated_at, at(second).now);
        let announced = OrderCancelled {
            order_id: placed().id,
            customer_id: CUSTOMER,
            total: placed().total,
            reason,
            code: None,
        };
        assert_eq!(
            (step.events[0].sequence, &step.events[0].event),
            (2, &announced.into())
        );
        assert_eq!(
            expire(Some(step.state), patience, &at(second + 1)),
            Step::Unchanged
        );
    }
}

#[test]
fn only_what_is_pending_and_old_expires() {
    let patience = chrono::TimeDelta::seconds(900);
    assert_eq!(expire(Some(placed()), patience, &at(899)), Step::Unchanged);
    for order in [None, Some(confirmed()), Some(cancelled())] {
        assert_eq!(expire(order, patience, &at(900)), Step::Unchanged);
    }
}

#[test]
fn what_contradicts_the_order_is_for_a_person_to_look_at() {
    let order = placed();
    let mut wrong = paid(&order);
    wrong.amount = euros(2_198);
    assert_eq!(
        rejected(on_payment_completed(Some(order.clone()), &wrong, &at(1))),
        "amount-mismatch"
    );
    let mut second = paid(&order);
    second.payment_id = OTHER_PAYMENT;
    assert_eq!(
        rejected(on_payment_completed(Some(confirmed()), &second, &at(2))),
        "paid-twice"
    );
    assert_eq!(
        rejected(on_payment_failed(Some(confirmed()), &refused(&order), &at(2))),
        "paid-and-failed"
    );
    let unasked = on_payment_refunded(Some(confirmed()), &given_back(&order), &at(2));
    assert_eq!(rejected(unasked), "refunded-not-cancelled");
}

/// Its payment failed, took the money after all and gave it back, before the order heard of any of that.
#[test]
fn money_given_back_before_the_failure_is_heard_of_cancels_the_order() {
    let step = moved(on_payment_refunded(
        Some(placed()),
        &given_back(&placed()),
        &at(2),
    ));
    let reason = CancellationReason::PaymentFailed;
    assert_eq!(because(&step.state), Some((reason, None, true)));
    let announced = OrderCancelled {
        order_id: placed().id,
        customer_id: CUSTOMER,
        total: placed().total,
        reason,
        code: None,
    };
    assert_eq!(
        (step.events[0].sequence, &step.events[0].event),
        (2, &announced.into())
    );
    let crossed = on_payment_failed(Some(step.state), &refused(&placed()), &at(3));
    assert_eq!(crossed, Ok(Step::Unchanged));
}

#[test]
fn a_fact_about_an_order_that_is_not_known_yet_comes_around_again() {
    let order = placed();
    assert_eq!(
        rejected(on_payment_completed(None, &paid(&order), &at(1))),
        "unknown-order"
    );
    assert_eq!(
        rejected(on_payment_failed(None, &refused(&order), &at(1))),
        "unknown-order"
    );
    assert_eq!(
        rejected(on_payment_refunded(None, &given_back(&order), &at(1))),
        "unknown-order"
    );
}
