//! What happens to a payment, one story each.

use super::*;

#[test]
fn a_placed_order_is_charged() {
    let step = moved(on_order_created(None, &placed(), &at(0)));
    let payment = Payment {
        id: PaymentId::new(at(0).fresh_id),
        order_id: ORDER,
        customer_id: CUSTOMER,
        amount: PRICE,
        payment_method: METHOD.to_owned(),
        corrections: Vec::new(),
        provider: "simulated".to_owned(),
        status: Status::Processing { cancel_wanted: false },
        attempts: 0,
        announced: 0,
        created_at: at(0).now,
        updated_at: at(0).now,
    };
    assert_eq!(step.state, payment);
    assert_eq!(step.actions, [charge_action()]);
    assert!(step.events.is_empty());
}

#[test]
fn an_order_that_is_heard_of_again_is_not_charged_again() {
    for payment in every() {
        let again = on_order_created(Some(payment), &placed(), &at(9));
        assert_eq!(again, Ok(Step::Unchanged));
    }
}

#[test]
fn what_cannot_be_charged_is_for_a_person_to_look_at() {
    for amount_minor in [0, -1, i64::MIN] {
        let total = Money::new(amount_minor, Currency::EUR);
        let order = OrderCreated { total, ..placed() };
        assert_eq!(
            rejected(on_order_created(None, &order, &at(0))),
            "nothing-to-charge"
        );
        let order = OrderCancelled {
            total,
            ..taken_back()
        };
        assert_eq!(
            rejected(on_order_cancelled(None, &order, &at(0))),
            "nothing-to-charge"
        );
    }
    for method in [
        String::new(),
        "x".repeat(256),
        "pm_card\0".to_owned(),
        "\n".to_owned(),
    ] {
        let order = OrderCreated {
            payment_method: method,
            ..placed()
        };
        assert_eq!(
            rejected(on_order_created(None, &order, &at(0))),
            "invalid-payment-method"
        );
    }
    let longest = OrderCreated {
        payment_method: "x".repeat(255),
        ..placed()
    };
    moved(on_order_created(None, &longest, &at(0)));
}

#[test]
fn an_approval_completes_the_payment() {
    let answer = ChargeAnswer::Approved {
        reference: "ch_1".to_owned(),
    };
    let step = moved(on_provider_answer(
        Some(processing()),
        &Answer::Charge { answer, attempts: 3 },
        &at(1),
    ));
    let reference = "ch_1".to_owned();
    assert_eq!(step.state.status, Status::Completed { reference });
    assert_eq!((step.state.attempts, step.state.updated_at), (3, at(1).now));
    assert_eq!(told(&step), [(1, fact_of_completion(&processing()))]);
    assert!(step.actions.is_empty());
}

#[test]
fn a_refusal_fails_the_payment() {
    let step = moved(on_provider_answer(Some(processing()), &declined(), &at(1)));
    let code = "card_declined".to_owned();
    assert_eq!(step.state.status, Status::Failed { code: code.clone() });
    let fact = PaymentFailed {
        payment_id: processing().id,
        order_id: ORDER,
        customer_id: CUSTOMER,
        amount: PRICE,
        failure_code: code,
    };
    assert_eq!(told(&step), [(1, fact.into())]);
    assert!(step.actions.is_empty());
    // which cancels the order, and that is nothing new here
    let order = OrderCancelled {
        reason: CancellationReason::PaymentFailed,
        ..taken_back()
    };
    let cancelled = on_order_cancelled(Some(step.state), &order, &at(2));
    assert_eq!(cancelled, Ok(Step::Unchanged));
}

#[test]
fn an_order_that_is_cancelled_after_it_is_paid_gets_its_money_back() {
    let step = moved(on_order_cancelled(Some(completed()), &taken_back(), &at(2)));
    let reference = "ch_1".to_owned();
    assert_eq!(step.state.status, Status::Refunding { reference });
    assert_eq!(step.actions, [refund_action()]);
    assert!(step.events.is_empty());

    let step = moved(on_provider_answer(Some(step.state), &given_back("re_1"), &at(3)));
    let status = Status::Refunded {
        reference: "ch_1".to_owned(),
        refund_reference: "re_1".to_owned(),
    };
    assert_eq!(
        (step.state.status.clone(), step.state.updated_at),
        (status, at(3).now)
    );
    let fact = PaymentRefunded {
        payment_id: processing().id,
        order_id: ORDER,
        customer_id: CUSTOMER,
        amount: PRICE,
        refund_reference: "re_1".to_owned(),
    };
    assert_eq!(told(&step), [(2, fact.into())]);
    let again = on_provider_answer(Some(step.state), &given_back("re_1"), &at(4));
    assert_eq!(again, Ok(Step::Unchanged));
}

#[test]
fn an_order_that_is_cancelled_before_the_answer_has_its_charge_voided() {
    let step = moved(on_order_cancelled(Some(processing()), &taken_back(), &at(1)));
    assert_eq!(step.state.status, Status::Processing { cancel_wanted: true });
    assert_eq!(step.actions, [void_action()]);
    assert!(step.events.is_empty());
    let again = on_order_cancelled(Some(step.state), &taken_back(), &at(2));
    assert_eq!(again, Ok(Step::Unchanged));

    // whether it is the void, the charge after it or a refusal that tells: no money is taken, nobody waits to hear of it
    for answer in [VOIDED, CHARGE_VOIDED, declined()] {
        let step = moved(on_provider_answer(Some(cancelling()), &answer, &at(2)));
        assert_eq!(step.state.status, Status::Voided, "{answer:?}");
        assert!(step.events.is_empty() && step.actions.is_empty());
    }
}

#[test]
fn a_void_that_comes_too_late_becomes_a_refund() {
    for answer in [captured("ch_1"), approved("ch_1")] {
        let step = moved(on_provider_answer(Some(cancelling()), &answer, &at(2)));
        let reference = "ch_1".to_owned();
        assert_eq!(step.state.status, Status::Refunding { reference });
        assert_eq!(told(&step), [(1, fact_of_completion(&processing()))]);
        assert_eq!(step.actions, [refund_action()]);
        // the other answer tells nothing new
        for crossed in [captured("ch_1"), approved("ch_1")] {
            let crossed = on_provider_answer(Some(step.state.clone()), &crossed, &at(3));
            assert_eq!(crossed, Ok(Step::Unchanged));
        }
    }
}

#[test]
fn an_order_that_is_cancelled_before_it_is_heard_of_is_never_charged() {
    let step = moved(on_order_cancelled(None, &taken_back(), &at(0)));
    assert_eq!(step.state.status, Status::Voided);
    assert_eq!((step.state.amount, step.state.customer_id), (PRICE, CUSTOMER));
    assert!(step.events.is_empty() && step.actions.is_empty());
    let late = on_order_created(Some(step.state), &placed(), &at(1));
    assert_eq!(late, Ok(Step::Unchanged));
}

#[test]
fn money_that_was_taken_against_all_expectation_goes_back() {
    for payment in [voided(), failed()] {
        let step = moved(on_provider_answer(Some(payment), &approved("ch_1"), &at(5)));
        let reference = "ch_1".to_owned();
        assert_eq!(step.state.status, Status::Refunding { reference });
        assert_eq!(step.actions, [refund_action()]);
    }
}

#[test]
fn what_was_announced_as_failed_is_not_announced_as_completed() {
    let late = moved(on_provider_answer(Some(failed()), &approved("ch_1"), &at(5)));
    assert_eq!(told(&late), []);
    let back = moved(on_provider_answer(Some(late.state), &given_back("re_1"), &at(6)));
    let [(2, Event::PaymentRefunded(_))] = told(&back)[..] else {
        panic!("after payment.failed comes payment.refunded: {back:?}")
    };
    // the order that was cancelled first has nothing to confirm, and its customer is told of both
    let late = moved(on_provider_answer(Some(voided()), &approved("ch_1"), &at(5)));
    let [(1, Event::PaymentCompleted(_))] = told(&late)[..] else {
        panic!("{late:?}")
    };
}

#[test]
fn a_charge_that_somebody_else_voided_fails_the_payment() {
    let step = moved(on_provider_answer(Some(processing()), &CHARGE_VOIDED, &at(1)));
    let code = "voided".to_owned();
    assert_eq!(step.state.status, Status::Failed { code });
    assert_eq!(step.events.len(), 1);
}

#[test]
fn answers_that_come_again_or_cross_change_nothing() {
    let unchanged = [
        (completed(), approved("ch_1")),
        (refunding(), approved("ch_1")),
        (refunded(), captured("ch_1")),
        (refunded(), approved("ch_1")),
        (failed(), declined()),
        (failed(), VOIDED),
        (voided(), declined()),
        (voided(), CHARGE_VOIDED),
        (completed(), VOIDED),
        // overtaken by the notice of a later attempt
        (completed(), declined()),
        (refunding(), declined()),
        (refunded(), declined()),
    ];
    for (payment, answer) in unchanged {
        let step = on_provider_answer(Some(payment.clone()), &answer, &at(9));
        assert_eq!(step, Ok(Step::Unchanged), "{answer:?} to {payment:?}");
    }
}

#[test]
fn what_contradicts_an_earlier_answer_is_for_a_person_to_look_at() {
    let attempt = |payment, answer| rejected(on_provider_answer(payment, &answer, &at(9)));
    for payment in [completed(), refunding(), refunded()] {
        assert_eq!(attempt(Some(payment.clone()), approved("ch_2")), "charged-twice");
        assert_eq!(attempt(Some(payment), captured("ch_2")), "charged-twice");
    }
    for payment in [processing(), cancelling(), completed(), failed(), voided()] {
        assert_eq!(attempt(Some(payment), given_back("re_1")), "unexpected-refund");
    }
    assert_eq!(attempt(None, approved("ch_1")), "unknown-payment");
}

#[test]
fn an_action_is_wanted_only_as_long_as_the_payment_asks_for_it() {
    let wanted = |action| every().map(|payment| is_wanted(&payment, &action));
    // in the order of `every`: processing, cancelling, completed, failed, voided, refunding, refunded
    assert_eq!(
        wanted(charge_action()),
        [true, false, false, false, false, false, false]
    );
    assert_eq!(
        wanted(void_action()),
        [false, true, false, false, false, false, false]
    );
    assert_eq!(
        wanted(refund_action()),
        [false, false, false, false, false, true, false]
    );
}
