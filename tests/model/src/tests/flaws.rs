//! The model notices mistakes: with each flaw, exactly these laws are broken.

use crate::flaw::Flaw;
use crate::laws::Law;
use crate::world::World;
use contracts::Topic;
use stateright::{Checker, Model};

/// The laws that `world` breaks; tells the shortest way to each.
fn broken(world: World<1>) -> Vec<Law> {
    let checker = world.checker().spawn_dfs().join();
    let is_broken = |law: &Law| checker.discovery(law.name()).is_some();
    let laws: Vec<Law> = Law::ALL.into_iter().filter(is_broken).collect();
    for law in &laws {
        let way = checker.model().way_to(*law).unwrap_or_default();
        println!("not so: {}, after {way:?}", law.name());
    }
    laws
}

fn broken_by(flaw: Flaw) -> Vec<Law> {
    broken(World::of_money_and_a_quiet_provider(Some(flaw)))
}

fn broken_once_the_provider_tells_unasked(flaw: Flaw) -> Vec<Law> {
    broken(World::of_money(Some(flaw)))
}

#[test]
fn a_kernel_that_forgets_what_it_has_taken_in_tells_twice() {
    let found = broken(World::of_notifications(
        &[Topic::OrderCreated],
        Some(Flaw::NoDedupe),
    ));
    let expected = [
        Law::TakenInOnce,
        Law::ToldOnce,
        Law::NothingVanishes,
        Law::Advances,
        Law::Settles,
    ];
    assert_eq!(found, expected);
}

/// The reactions know by themselves what they have seen: the memory of events spares them work, but no cent hangs on it.
#[test]
fn a_kernel_that_forgets_what_it_has_taken_in_still_moves_money_once() {
    assert_eq!(broken_by(Flaw::NoDedupe), [Law::TakenInOnce, Law::Advances]);
}

#[test]
fn a_kernel_that_remembers_before_it_reacts_loses_facts() {
    assert_eq!(broken_by(Flaw::DedupeApart), [Law::NothingVanishes, Law::Settles]);
}

#[test]
fn a_dispatcher_that_does_not_ask_whether_an_action_is_wanted_charges_cancelled_orders() {
    assert_eq!(broken_by(Flaw::NoGuard), [Law::NoUnwantedCharge]);
}

#[test]
fn a_late_approval_ignored_keeps_the_money() {
    assert_eq!(broken_by(Flaw::LateCaptureIgnored), [Law::Settles]);
}

/// The void asks the provider again and hears of the money.
#[test]
fn a_late_approval_ignored_is_made_good_by_the_void() {
    assert_eq!(broken_by(Flaw::LateApprovalIgnored), []);
}

#[test]
fn a_cancellation_ignored_because_it_comes_first_keeps_the_money() {
    let expected = [Law::NothingVanishes, Law::Settles];
    assert_eq!(broken_by(Flaw::EarlyCancellationIgnored), expected);
}

#[test]
fn a_cancelled_order_that_is_revived_by_its_payment_breaks_nearly_everything() {
    let expected = [
        Law::ConfirmedIsPaid,
        Law::NothingRejected,
        Law::SaidOnce,
        Law::EndsOnce,
        Law::NothingVanishes,
        Law::Advances,
        Law::Settles,
    ];
    assert_eq!(broken_by(Flaw::PaidOrderRevived), expected);
}

#[test]
fn a_payment_that_is_announced_as_failed_and_as_completed_confirms_what_is_given_back() {
    let found = broken_once_the_provider_tells_unasked(Flaw::FailedAndCompleted);
    let expected = [
        Law::ConfirmedIsPaid,
        Law::NothingRejected,
        Law::Advances,
        Law::Settles,
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_timer_that_judges_without_having_read_cancels_what_was_paid_in_time() {
    assert_eq!(broken_by(Flaw::JudgedUnread), [Law::JudgedAsRead]);
}

#[test]
fn a_timer_that_does_not_look_at_parked_messages_cancels_what_was_paid_in_time() {
    assert_eq!(broken_by(Flaw::JudgedParked), [Law::JudgedAsRead]);
}

/// The parked refund holds back the timer, too. (A real one is given up after its retries, which the model takes for a
/// fault that need not happen.)
#[test]
fn an_order_that_refuses_to_hear_of_a_refund_first_keeps_it_waiting() {
    let found = broken_once_the_provider_tells_unasked(Flaw::EarlyRefundRefused);
    let expected = [
        Law::NothingRejected,
        Law::Advances,
        Law::Settles,
        Law::EndsUnattended,
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_void_that_does_not_keep_out_a_later_charge_keeps_the_money() {
    let expected = [Law::EndedWithoutMoney, Law::EndsOnce, Law::Settles];
    assert_eq!(broken_by(Flaw::VoidNotFenced), expected);
}

#[test]
fn a_provider_that_charges_each_time_it_is_asked_takes_money_twice() {
    let expected = [
        Law::ConfirmedIsPaid,
        Law::TakenOnce,
        Law::OneKey,
        Law::BooksAgree,
        Law::NothingRejected,
        Law::Advances,
        Law::Settles,
    ];
    assert_eq!(broken_by(Flaw::ChargeNotKeyed), expected);
}

/// What two charges of one order break, when both may take the money.
const PAID_TWICE: [Law; 9] = [
    Law::ConfirmedIsPaid,
    Law::TakenOnce,
    Law::OneKey,
    Law::EndedWithoutMoney,
    Law::BooksAgree,
    Law::NothingRejected,
    Law::EndsOnce,
    Law::Advances,
    Law::Settles,
];

fn broken_once_an_operator_corrects(flaw: Flaw) -> Vec<Law> {
    broken(World::of_corrections_alone(Some(flaw)))
}

#[test]
fn a_corrected_charge_beside_one_that_was_not_voided_takes_money_twice() {
    let found = broken_once_an_operator_corrects(Flaw::EarlierChargeNotVoided);
    assert_eq!(found, PAID_TWICE);
}

#[test]
fn a_corrected_charge_beside_one_that_has_taken_the_money_takes_it_twice() {
    let found = broken_once_an_operator_corrects(Flaw::EarlierCaptureIgnored);
    assert_eq!(found, PAID_TWICE);
}

#[test]
fn a_payment_that_hears_of_the_earlier_charge_as_if_it_were_its_own_fails_and_is_paid() {
    let found = broken(World::of_corrections(Some(Flaw::EarlierNoticeHeard)));
    let expected = [Law::EndedWithoutMoney, Law::EndsOnce, Law::Settles];
    assert_eq!(found, expected);
}
