//! What holds whatever arrives, in whatever order, however often.

use contracts::reaction::Outgoing;
use proptest::prelude::*;

use super::*;

/// What can happen to an order after it is placed.
#[derive(Debug, Clone)]
enum Happening {
    Paid {
        by: PaymentId,
        amount_off: i64,
    },
    Refused {
        code: String,
    },
    GivenBack,
    Cancel {
        by: Option<UserId>,
    },
    /// The deadline job found it waiting for longer than this, in seconds.
    Deadline {
        patience: u32,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let payment = prop_oneof![4 => Just(PAYMENT), 1 => Just(OTHER_PAYMENT)];
    let amount_off = prop_oneof![6 => Just(0_i64), 1 => -3..4_i64];
    let by = prop_oneof![3 => Just(Some(CUSTOMER)), 1 => Just(Some(STRANGER)), 1 => Just(None)];
    prop_oneof![
        3 => (payment, amount_off).prop_map(|(by, amount_off)| Happening::Paid { by, amount_off }),
        2 => "[a-z_]{0,20}".prop_map(|code| Happening::Refused { code }),
        2 => Just(Happening::GivenBack),
        2 => by.prop_map(|by| Happening::Cancel { by }),
        1 => (0..40_u32).prop_map(|patience| Happening::Deadline { patience }),
    ]
}

/// What became of it: a move, nothing, or a refusal.
fn take(order: Order, happening: &Happening, context: &Context) -> Result<Step<Order>, String> {
    let step = match happening {
        Happening::Paid { by, amount_off } => {
            let fact = PaymentCompleted {
                payment_id: *by,
                amount: euros(order.total.amount_minor() + amount_off),
                ..paid(&order)
            };
            on_payment_completed(Some(order), &fact, context)
        }
        Happening::Refused { code } => {
            let fact = PaymentFailed {
                failure_code: code.clone(),
                ..refused(&order)
            };
            on_payment_failed(Some(order), &fact, context)
        }
        Happening::GivenBack => on_payment_refunded(Some(order.clone()), &given_back(&order), context),
        Happening::Cancel { by } => {
            return cancel(Some(order), *by, context).map_err(|error| error.to_string());
        }
        Happening::Deadline { patience } => {
            let patience = chrono::TimeDelta::seconds(i64::from(*patience));
            return Ok(expire(Some(order), patience, context));
        }
    };
    step.map_err(|rejection| rejection.to_string())
}

/// The moves of the design, each with what it announces.
fn allowed(before: &Status, after: &Status, announced: &[Outgoing]) -> bool {
    let announced: Vec<_> = announced.iter().map(|outgoing| &outgoing.event).collect();
    match (before, after) {
        (Status::Pending, Status::Confirmed { .. }) => matches!(announced[..], [Event::OrderConfirmed(_)]),
        (
            Status::Pending,
            Status::Cancelled {
                reason: CancellationReason::PaymentFailed,
                code: Some(_),
                refunded: false,
            },
        )
        | (
            Status::Pending,
            Status::Cancelled {
                reason: CancellationReason::PaymentFailed,
                code: None,
                refunded: true,
            },
        )
        | (
            Status::Pending,
            Status::Cancelled {
                reason: CancellationReason::PaymentTimeout,
                code: None,
                refunded: false,
            },
        )
        | (
            Status::Pending | Status::Confirmed { .. },
            Status::Cancelled {
                reason: CancellationReason::CustomerRequest,
                code: None,
                refunded: false,
            },
        ) => matches!(announced[..], [Event::OrderCancelled(_)]),
        (
            Status::Cancelled {
                reason,
                code,
                refunded: false,
            },
            Status::Cancelled {
                reason: same_reason,
                code: same_code,
                refunded: true,
            },
        ) => announced.is_empty() && (reason, code) == (same_reason, same_code),
        (Status::Pending | Status::Confirmed { .. } | Status::Cancelled { .. }, _) => false,
    }
}

/// What was ordered, by whom and when never changes.
fn what_was_ordered(order: &Order) -> Order {
    Order {
        status: Status::Pending,
        announced: 0,
        updated_at: order.created_at,
        ..order.clone()
    }
}

proptest! {
    #[test]
    fn no_sequence_of_facts_and_commands_leaves_the_design(
        happenings in proptest::collection::vec(happening(), 0..40),
    ) {
        let start = place(CUSTOMER, &[(product("TEA", euros(450)), 2)], visa(), &at(0)).unwrap();
        let (mut order, mut told) = (start.state, start.events);
        for (second, happening) in (1..).zip(&happenings) {
            let context = at(second);
            let step = take(order.clone(), happening, &context);
            // the same state and the same fact always come to the same
            prop_assert_eq!(&take(order.clone(), happening, &context), &step);
            let Ok(Step::Next(next)) = step else { continue };
            prop_assert!(allowed(&order.status, &next.state.status, &next.events), "{:?} to {:?}", order, next);
            prop_assert_eq!(what_was_ordered(&order), what_was_ordered(&next.state));
            prop_assert_eq!(next.state.updated_at, context.now);
            prop_assert!(next.actions.is_empty());
            order = next.state;
            told.extend(next.events);
            // delivered again at once, it has been applied
            let again = take(order.clone(), happening, &at(second + 1_000));
            prop_assert!(!matches!(again, Ok(Step::Next(_))), "{:?} twice: {:?}", happening, again);
        }
        let sequences: Vec<_> = told.iter().map(|outgoing| outgoing.sequence).collect();
        prop_assert_eq!(sequences, (1..=order.announced).collect::<Vec<_>>());
        for topic in [contracts::Topic::OrderCreated, contracts::Topic::OrderConfirmed, contracts::Topic::OrderCancelled] {
            let times = told.iter().filter(|outgoing| outgoing.event.topic() == topic).count();
            prop_assert!(times <= 1, "{} was announced {} times", topic, times);
        }
    }

    /// A fact that is refused is a message that comes around again.
    #[test]
    fn the_facts_of_a_paid_and_cancelled_order_converge_in_any_order(
        shuffled in Just(vec![0, 1, 2, 0, 1, 2, 0, 1, 2]).prop_shuffle(),
    ) {
        let facts = [
            Happening::Paid { by: PAYMENT, amount_off: 0 },
            Happening::Cancel { by: Some(CUSTOMER) },
            Happening::GivenBack,
        ];
        let mut order = placed();
        let deliveries = shuffled.iter().chain(&[0, 1, 2, 0, 1, 2]);
        for (second, index) in (1..).zip(deliveries) {
            // the order's own cancellation is what gives its money back
            if matches!(facts[*index], Happening::GivenBack) && because(&order).is_none() {
                continue;
            }
            if let Ok(Step::Next(next)) = take(order.clone(), &facts[*index], &at(second)) {
                order = next.state;
            }
        }
        prop_assert_eq!(because(&order), Some((CancellationReason::CustomerRequest, None, true)));
    }

    #[test]
    fn a_total_is_exact_or_the_order_is_refused(
        lines in proptest::collection::vec((prop_oneof![9 => 1..1_000_000_i64, 1 => 1..i64::MAX], 1..i32::MAX), 1..20),
    ) {
        let exact: i128 = lines.iter().map(|(price, quantity)| i128::from(*price) * i128::from(*quantity)).sum();
        let products: Vec<_> =
            lines.iter().map(|(price, quantity)| (product("TEA", euros(*price)), *quantity)).collect();
        match place(CUSTOMER, &products, visa(), &at(0)) {
            Ok(placed) => prop_assert_eq!(i128::from(placed.state.total.amount_minor()), exact),
            Err(error) => {
                let too_large = matches!(error, PlaceError::Total { source: MoneyError::Overflow, .. });
                prop_assert!(too_large && i64::try_from(exact).is_err(), "{}", error);
            }
        }
    }
}
