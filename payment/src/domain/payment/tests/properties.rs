//! What holds whatever arrives, in whatever order, however often, as long as the provider tells one truth.

use contracts::Topic;
use contracts::reaction::Outgoing;
use proptest::prelude::*;

use super::world::{World, turn};
use super::*;

/// What the provider makes of a charge that reaches it before any void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Approves,
    Declines,
    /// A void came first.
    Voided,
}

/// What can happen.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Placed,
    Cancelled,
    ChargeAnswered,
    VoidAnswered,
    GivenBack,
}

fn truth() -> impl Strategy<Value = Truth> {
    prop_oneof![Just(Truth::Approves), Just(Truth::Declines), Just(Truth::Voided)]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => Just(Happening::Placed),
        2 => Just(Happening::Cancelled),
        3 => Just(Happening::ChargeAnswered),
        2 => Just(Happening::VoidAnswered),
        2 => Just(Happening::GivenBack),
    ]
}

fn take(
    payment: Option<Payment>,
    happening: Happening,
    truth: Truth,
    context: &Context,
) -> Reaction<Payment, PaymentAction> {
    let answer = match (happening, truth) {
        (Happening::Placed, _) => return on_order_created(payment, &placed(), context),
        (Happening::Cancelled, _) => return on_order_cancelled(payment, &taken_back(), context),
        (Happening::ChargeAnswered, Truth::Approves) => approved("ch_1"),
        (Happening::ChargeAnswered, Truth::Declines) => declined(),
        (Happening::ChargeAnswered, Truth::Voided) => CHARGE_VOIDED,
        (Happening::VoidAnswered, Truth::Approves) => captured("ch_1"),
        (Happening::VoidAnswered, Truth::Declines | Truth::Voided) => VOIDED,
        (Happening::GivenBack, _) => given_back("re_1"),
    };
    on_provider_answer(payment, &answer, context)
}

/// The moves of the design, each with the topics it announces on and whether it asks for its action.
fn allowed(before: Option<&Status>, next: &Transition<Payment, PaymentAction>) -> bool {
    let topics: Vec<_> = next
        .events
        .iter()
        .map(|outgoing| outgoing.event.topic())
        .collect();
    let asks = match &next.actions[..] {
        [] => None,
        [action] if is_wanted(&next.state, action) => Some(action),
        _ => return false,
    };
    match (before, &next.state.status) {
        (None, Status::Processing { cancel_wanted: false }) => {
            topics.is_empty() && matches!(asks, Some(PaymentAction::Charge { .. }))
        }
        (Some(Status::Processing { cancel_wanted: false }), Status::Processing { cancel_wanted: true }) => {
            topics.is_empty() && matches!(asks, Some(PaymentAction::Void { .. }))
        }
        (None | Some(Status::Processing { cancel_wanted: true }), Status::Voided) => {
            topics.is_empty() && asks.is_none()
        }
        (Some(Status::Processing { cancel_wanted: false }), Status::Completed { .. }) => {
            topics == [Topic::PaymentCompleted] && asks.is_none()
        }
        (Some(Status::Processing { cancel_wanted: false }), Status::Failed { .. }) => {
            topics == [Topic::PaymentFailed] && asks.is_none()
        }
        (Some(Status::Processing { cancel_wanted: true } | Status::Voided), Status::Refunding { .. }) => {
            topics == [Topic::PaymentCompleted] && matches!(asks, Some(PaymentAction::Refund { .. }))
        }
        (Some(Status::Completed { .. } | Status::Failed { .. }), Status::Refunding { .. }) => {
            topics.is_empty() && matches!(asks, Some(PaymentAction::Refund { .. }))
        }
        (Some(Status::Refunding { .. }), Status::Refunded { .. }) => {
            topics == [Topic::PaymentRefunded] && asks.is_none()
        }
        (_, _) => false,
    }
}

/// Who pays how much for what never changes.
fn what_is_paid(payment: &Payment) -> Payment {
    Payment {
        status: Status::Voided,
        attempts: 0,
        announced: 0,
        updated_at: payment.created_at,
        ..payment.clone()
    }
}

/// Numbers follow each other from 1, and nothing is announced twice.
fn announced_once(told: &[Outgoing], announced: u64) -> Result<(), TestCaseError> {
    let sequences: Vec<_> = told.iter().map(|outgoing| outgoing.sequence).collect();
    prop_assert_eq!(sequences, (1..=announced).collect::<Vec<_>>());
    for topic in [
        Topic::PaymentCompleted,
        Topic::PaymentFailed,
        Topic::PaymentRefunded,
    ] {
        let of_topic = |outgoing: &&Outgoing| outgoing.event.topic() == topic;
        let times = told.iter().filter(of_topic).count();
        prop_assert!(times <= 1, "{} was announced {} times", topic, times);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_sequence_of_facts_and_answers_leaves_the_design(
        truth in truth(),
        happenings in proptest::collection::vec(happening(), 0..30),
    ) {
        let (mut payment, mut told) = (None::<Payment>, Vec::new());
        let mut cancelled = false;
        for (second, happening) in (1..).zip(happenings) {
            let context = at(second);
            let step = take(payment.clone(), happening, truth, &context);
            // the same state and the same fact always come to the same
            prop_assert_eq!(&take(payment.clone(), happening, truth, &context), &step);
            cancelled |= matches!(happening, Happening::Cancelled);
            let Ok(Step::Next(next)) = step else { continue };
            let before = payment.as_ref().map(|payment| &payment.status);
            prop_assert!(allowed(before, &next), "{:?} to {:?}", before, next);
            if let Some(payment) = &payment {
                prop_assert_eq!(what_is_paid(payment), what_is_paid(&next.state));
            }
            prop_assert_eq!(next.state.updated_at, context.now);
            // delivered again at once, it has been applied
            let again = take(Some(next.state.clone()), happening, truth, &at(second + 1_000));
            prop_assert!(!matches!(again, Ok(Step::Next(_))), "{:?} twice: {:?}", happening, again);
            payment = Some(next.state);
            told.extend(next.events);
        }
        let Some(payment) = payment else { return Ok(()) };
        announced_once(&told, payment.announced)?;
        if cancelled {
            let ends_without_money = match &payment.status {
                Status::Failed { .. } | Status::Voided | Status::Refunded { .. } => true,
                Status::Refunding { .. } => is_wanted(&payment, &refund_action()),
                Status::Processing { .. } => is_wanted(&payment, &void_action()),
                Status::Completed { .. } => false,
            };
            prop_assert!(ends_without_money, "{:?}", payment);
        }
    }

    #[test]
    fn with_a_provider_that_keeps_its_word_everything_ends_and_the_money_is_where_it_belongs(
        approves: bool,
        is_cancelled: bool,
        turns in proptest::collection::vec(turn(), 0..60),
    ) {
        let mut world = World::new(approves);
        for turn in turns {
            world.take(&turn, is_cancelled)?;
        }
        world.come_to_rest(is_cancelled)?;
        let payment = world.payment.unwrap();
        announced_once(&world.told, payment.announced)?;
        prop_assert!(world.charges <= 1 && world.refunds <= world.charges);
        let kept = world.charges - world.refunds;
        match payment.status {
            Status::Completed { .. } => prop_assert!(approves && !is_cancelled && kept == 1),
            Status::Failed { .. } => prop_assert!(!approves && kept == 0),
            Status::Voided => prop_assert!(is_cancelled && world.charges == 0),
            Status::Refunded { .. } => prop_assert!(approves && is_cancelled && world.refunds == 1),
            Status::Processing { .. } | Status::Refunding { .. } => prop_assert!(false, "{:?} never ends", payment),
        }
    }
}
