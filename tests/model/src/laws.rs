//! What must hold: the promises of docs/ARCHITECTURE.md about the saga, each judged on one order's saga in one state.
//!
//! Some hold at any moment. The others are about how it ends, and "it ends" is put so that a machine can see it in one
//! state and the steps that lead out of it:
//!
//! - *no run is endless once nothing breaks any more*: each step that is neither a fault nor somebody's choice lowers
//!   [`rank`], which is a natural number ([`Law::Advances`]), so that only so many of them are left
//! - *it does not end halfway*: a state in which no such step is left is one in which all is settled ([`Law::Settles`])
//!
//! Together: from every reachable state, whatever has broken before, every run without further faults comes to a settled
//! end. (An `eventually` of stateright would say less: it takes a cycle of faults and retries, of which there are many
//! here, for a run that needs no end.)

use contracts::Topic;
use contracts::events::CancellationReason;
use order::domain::Status as OrderStatus;
use payment::domain::Status as PaymentStatus;

use crate::cast::Part;
use crate::deadline::Deadline;
use crate::desk::{FACTS, Progress, Service, slot};
use crate::errand::{Kind, Phase};
use crate::provider::Charge;
use crate::saga::{Road, Saga};
use crate::steps::{Move, Nature};

/// A law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    /// A confirmed order has exactly one completed payment of exactly its total.
    ConfirmedIsPaid,
    /// Money is taken at most once, and given back at most once and after it was taken.
    TakenOnce,
    /// The provider is never asked for another charge under the key of the first, nor to give back what it did not take.
    OneKey,
    /// A payment that ended without money has taken none and never will; unless the provider takes it after all, and
    /// tells.
    EndedWithoutMoney,
    /// A payment is completed or refunded, and an order says that its money is back, only when that is so.
    BooksAgree,
    /// No charge is begun for an order that the payment service knows to be cancelled.
    NoUnwantedCharge,
    /// No reaction refuses what happens in a saga, in whatever order it comes.
    NothingRejected,
    /// Facts are announced at most once, numbered without gaps, and actions are asked for at most once.
    SaidOnce,
    /// No order is cancelled at its deadline while what was announced of its payment by then is unread.
    JudgedAsRead,
    /// What has ended stays as it ended.
    EndsOnce,
    /// Facts, actions and notifications are about their own order.
    OwnOrder,
    /// No service takes charge of an event twice.
    TakenInOnce,
    /// There is never more than one notification of a fact.
    ToldOnce,
    /// What a service has taken in as applied has had its effect: nothing vanishes.
    NothingVanishes,
    /// Steps without faults lead on and on to an end.
    Advances,
    /// The end is a settled one.
    Settles,
    /// Even when no operator ever looks at a dead letter, the order itself ends.
    EndsUnattended,
}

impl Law {
    /// All of them.
    pub(crate) const ALL: [Self; 17] = [
        Self::ConfirmedIsPaid,
        Self::TakenOnce,
        Self::OneKey,
        Self::EndedWithoutMoney,
        Self::BooksAgree,
        Self::NoUnwantedCharge,
        Self::NothingRejected,
        Self::SaidOnce,
        Self::JudgedAsRead,
        Self::EndsOnce,
        Self::OwnOrder,
        Self::TakenInOnce,
        Self::ToldOnce,
        Self::NothingVanishes,
        Self::Advances,
        Self::Settles,
        Self::EndsUnattended,
    ];

    /// What it says.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ConfirmedIsPaid => {
                "a confirmed order has exactly one completed payment of exactly its total"
            }
            Self::TakenOnce => "money is taken at most once, and given back at most once",
            Self::OneKey => "the provider sees one charge an order, under one key",
            Self::EndedWithoutMoney => "a payment that ended without money has taken none and never will",
            Self::BooksAgree => "what payment and order say of the money is so at the provider",
            Self::NoUnwantedCharge => "no charge is begun for an order known to be cancelled",
            Self::NothingRejected => "no reaction refuses what happens in a saga",
            Self::SaidOnce => "each fact is announced once and each action asked for once",
            Self::JudgedAsRead => {
                "no order times out while what was said of its payment before the deadline is unread"
            }
            Self::EndsOnce => "an order or payment that has ended stays as it ended",
            Self::OwnOrder => "facts, actions and notifications are about their own order",
            Self::TakenInOnce => "no service takes charge of an event twice",
            Self::ToldOnce => "a fact makes one notification at most",
            Self::NothingVanishes => "what was taken in has had its effect",
            Self::Advances => "steps without faults lead on to an end",
            Self::Settles => "the end is settled: order, payment, money and notifications agree",
            Self::EndsUnattended => "an order ends even when no operator replays anything",
        }
    }

    /// Whether it holds for `saga`, from which `moves` lead on.
    pub(crate) fn holds(self, part: &Part, saga: &Saga, moves: &[(Move, Saga)]) -> bool {
        let wrongs = &saga.wrongs;
        match self {
            Self::ConfirmedIsPaid => confirmed_is_paid(part, saga),
            Self::TakenOnce => saga.book.captures <= 1 && saga.book.refunds <= saga.book.captures,
            Self::OneKey => !wrongs.refused,
            Self::EndedWithoutMoney => ended_without_money(part, saga),
            Self::BooksAgree => books_agree(part, saga),
            Self::NoUnwantedCharge => !wrongs.unwanted_charge,
            Self::NothingRejected => !wrongs.rejected,
            Self::SaidOnce => !wrongs.said_twice,
            Self::JudgedAsRead => !wrongs.judged_unread,
            Self::EndsOnce => !wrongs.reopened,
            Self::OwnOrder => !wrongs.misdirected,
            Self::TakenInOnce => !wrongs.taken_twice,
            Self::ToldOnce => saga.mails <= 1,
            Self::NothingVanishes => nothing_vanishes(part, saga),
            Self::Advances => advances(part, saga, moves),
            Self::Settles => has(moves, &[Nature::Progress, Nature::Operator]) || settled(part, saga),
            Self::EndsUnattended => has(moves, &[Nature::Progress]) || has_ended(part, saga),
        }
    }
}

fn has(moves: &[(Move, Saga)], natures: &[Nature]) -> bool {
    moves.iter().any(|(step, _)| natures.contains(&step.nature()))
}

fn payment_status(part: &Part, saga: &Saga) -> Option<PaymentStatus> {
    saga.payment.map(|code| part.payments.get(code).status)
}

fn confirmed_is_paid(part: &Part, saga: &Saga) -> bool {
    let order = part.orders.get(saga.order);
    let OrderStatus::Confirmed { payment_id } = order.status else {
        return true;
    };
    let Some(payment) = saga.payment.map(|code| part.payments.get(code)) else {
        return false;
    };
    (payment.id, payment.order_id, payment.amount) == (payment_id, order.id, order.total)
        && matches!(payment.status, PaymentStatus::Completed { .. })
        && saga.book.has_taken()
        && saga.book.kept() == 1
}

fn ended_without_money(part: &Part, saga: &Saga) -> bool {
    match payment_status(part, saga) {
        Some(PaymentStatus::Failed { .. } | PaymentStatus::Voided) if saga.book.turned => true,
        Some(PaymentStatus::Failed { .. } | PaymentStatus::Voided) => {
            let (book, sent) = (&saga.book, saga.errand(Kind::Charge).sent);
            let first_sent = if book.corrected.is_some() {
                saga.sent_before
            } else {
                sent
            };
            let is_fenced = |sent: bool, charge: Charge| !sent || charge != Charge::Open;
            book.captures == 0
                && is_fenced(first_sent, book.charge)
                && book.corrected.is_none_or(|charge| is_fenced(sent, charge))
        }
        Some(
            PaymentStatus::Processing { .. }
            | PaymentStatus::Completed { .. }
            | PaymentStatus::Refunding { .. }
            | PaymentStatus::Refunded { .. },
        )
        | None => true,
    }
}

fn books_agree(part: &Part, saga: &Saga) -> bool {
    let payment = match payment_status(part, saga) {
        Some(PaymentStatus::Completed { .. }) => saga.book.kept() == 1,
        Some(PaymentStatus::Refunding { .. }) => saga.book.has_taken(),
        Some(PaymentStatus::Refunded { .. }) => saga.book.captures > 0 && saga.book.kept() == 0,
        Some(PaymentStatus::Processing { .. } | PaymentStatus::Failed { .. } | PaymentStatus::Voided)
        | None => saga.book.refunds == 0,
    };
    let order = match part.orders.get(saga.order).status {
        OrderStatus::Cancelled { refunded: true, .. } => saga.book.captures > 0 && saga.book.kept() == 0,
        OrderStatus::Cancelled { refunded: false, .. }
        | OrderStatus::Pending
        | OrderStatus::Confirmed { .. } => true,
    };
    payment && order
}

/// What a service must have done by the facts that it counts as applied.
fn nothing_vanishes(part: &Part, saga: &Saga) -> bool {
    let applied = |service: Service, topic| saga.desk(service).progress(topic) == Progress::Applied;
    let order = part.orders.get(saga.order).status;
    let payment = payment_status(part, saga);
    let mail = saga
        .watched
        .is_none_or(|topic| !applied(Service::Notification, topic) || saga.mails == 1);
    let created = !applied(Service::Payment, Topic::OrderCreated) || payment.is_some();
    let cancelled = !applied(Service::Payment, Topic::OrderCancelled)
        || !matches!(
            payment,
            None | Some(PaymentStatus::Processing { cancel_wanted: false } | PaymentStatus::Completed { .. })
        );
    let heard =
        applied(Service::Order, Topic::PaymentCompleted) || applied(Service::Order, Topic::PaymentFailed);
    let answered = !heard || order != OrderStatus::Pending;
    let refunded = !applied(Service::Order, Topic::PaymentRefunded)
        || matches!(order, OrderStatus::Cancelled { refunded: true, .. });
    mail && created && cancelled && answered && refunded
}

/// Nothing is on its way, and what there is adds up.
fn settled(part: &Part, saga: &Saga) -> bool {
    let all_applied = saga.facts_at(Road::Published).all(|topic| {
        Service::ALL
            .into_iter()
            .filter(|service| saga.reads(*service, topic))
            .all(|service| saga.desk(service).progress(topic) == Progress::Applied)
    });
    let announced = |topic| saga.facts[slot(topic)].is_some();
    let told = saga
        .watched
        .is_none_or(|topic| saga.mails == u8::from(announced(topic)));
    let errands = saga
        .errands
        .iter()
        .all(|errand| matches!(errand.phase, Phase::Unasked | Phase::Done));
    all_applied && told && errands && announced(Topic::OrderCreated) && balances(part, saga)
}

/// The end of the order, of its payment and of the money go together.
fn balances(part: &Part, saga: &Saga) -> bool {
    let announced = |topic| saga.facts[slot(topic)].is_some();
    let payment = payment_status(part, saga);
    match part.orders.get(saga.order).status {
        OrderStatus::Pending => false,
        OrderStatus::Confirmed { .. } => {
            matches!(payment, Some(PaymentStatus::Completed { .. }))
                && announced(Topic::OrderConfirmed)
                && !announced(Topic::OrderCancelled)
                && saga.book.kept() == 1
        }
        OrderStatus::Cancelled { reason, refunded, .. } => {
            let ended = match payment {
                Some(PaymentStatus::Failed { .. } | PaymentStatus::Voided) => {
                    saga.book.captures == 0 && !refunded
                }
                // an order that ended because its payment failed has heard of nothing else
                Some(PaymentStatus::Refunded { .. }) => {
                    refunded
                        && (reason == CancellationReason::PaymentFailed) <= announced(Topic::PaymentFailed)
                        && !(announced(Topic::PaymentFailed) && announced(Topic::PaymentCompleted))
                }
                Some(
                    PaymentStatus::Processing { .. }
                    | PaymentStatus::Completed { .. }
                    | PaymentStatus::Refunding { .. },
                )
                | None => false,
            };
            ended && announced(Topic::OrderCancelled) && saga.book.kept() == 0
        }
    }
}

fn has_ended(part: &Part, saga: &Saga) -> bool {
    part.orders.get(saga.order).status != OrderStatus::Pending
}

fn advances(part: &Part, saga: &Saga, moves: &[(Move, Saga)]) -> bool {
    let here = rank(part, saga);
    moves
        .iter()
        .filter(|(step, _)| matches!(step.nature(), Nature::Progress | Nature::Operator))
        .all(|(_, after)| rank(part, after) < here)
}

/// How much is left to be done, at most. What may still be announced or asked for weighs more than all that its
/// announcement sets off.
pub(crate) fn rank(part: &Part, saga: &Saga) -> u32 {
    let unsaid = saga.facts.iter().filter(|fact| fact.is_none()).count();
    let unasked = saga
        .errands
        .iter()
        .filter(|errand| errand.action.is_none())
        .count();
    let open = match (has_ended(part, saga), saga.deadline) {
        (true, _) => 0,
        (false, Deadline::Passed(_)) => 1,
        (false, Deadline::Ahead) => 2,
    };
    let outbox = saga.facts_at(Road::Outbox).count() + 2 * saga.facts_at(Road::SetAside).count();
    let inboxes: u32 = FACTS
        .into_iter()
        .filter(|topic| saga.facts[slot(*topic)].is_some())
        .flat_map(|topic| Service::ALL.map(|service| (service, topic)))
        .filter(|(service, topic)| saga.reads(*service, *topic))
        .map(|(service, topic)| match saga.desk(service).progress(topic) {
            Progress::Unseen => 3,
            Progress::Dead => 2,
            Progress::Waiting => 1,
            Progress::Applied => 0,
        })
        .sum();
    let errands: u32 = saga
        .errands
        .iter()
        .map(|errand| match errand.phase {
            Phase::Dead => 4,
            Phase::Due => 3,
            Phase::Called | Phase::Unwanted => 2,
            Phase::Answered(_) => 1,
            Phase::Unasked | Phase::Done => 0,
        })
        .sum();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    100 * (count(unsaid) + count(unasked)) + open + count(outbox) + inboxes + errands
}
