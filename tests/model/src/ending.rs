//! How a saga can end. Each must come up: laws that hold only because nothing ever happens would prove nothing.

use contracts::Topic;
use contracts::events::CancellationReason;
use order::domain::Status as OrderStatus;
use payment::domain::Status as PaymentStatus;

use crate::cast::Part;
use crate::desk::slot;
use crate::errand::{Kind, Phase};
use crate::provider::Charge;
use crate::saga::Saga;
use crate::steps::{Move, Nature};

/// An end, at which only the customer could still change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Paid and confirmed.
    Confirmed,
    /// The provider refused, and the order was cancelled for it.
    Declined,
    /// Cancelled before the payment service heard of it; the provider was never asked.
    NeverCharged,
    /// Cancelled while the charge was under way, and the provider voided it.
    Voided,
    /// Cancelled while the charge was under way, which was declined.
    DeclinedTooLate,
    /// Cancelled by the customer after it was confirmed, and given back.
    GivenBack,
    /// Cancelled while the charge was under way, which took the money; given back.
    GivenBackLate,
    /// Cancelled at its deadline, and the money, taken after all, given back.
    PaidTooLate,
    /// The provider refused, and took the money after all; given back.
    PaidAfterAll,
    /// An operator corrected the charge, which was then made; confirmed.
    PaidAnew,
    /// An operator corrected the charge, and the earlier one was found to have taken the money; confirmed.
    FoundPaid,
}

impl Ending {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::Confirmed,
        Self::Declined,
        Self::NeverCharged,
        Self::Voided,
        Self::DeclinedTooLate,
        Self::GivenBack,
        Self::GivenBackLate,
        Self::PaidTooLate,
        Self::PaidAfterAll,
        Self::PaidAnew,
        Self::FoundPaid,
    ];

    /// What happened.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "ends confirmed",
            Self::Declined => "ends declined",
            Self::NeverCharged => "ends without a charge",
            Self::Voided => "ends with a voided charge",
            Self::DeclinedTooLate => "ends with a charge declined after the cancellation",
            Self::GivenBack => "ends refunded after it was confirmed",
            Self::GivenBackLate => "ends refunded without ever being confirmed",
            Self::PaidTooLate => "ends at its deadline, refunded",
            Self::PaidAfterAll => "ends declined, and refunded",
            Self::PaidAnew => "ends confirmed by a corrected charge",
            Self::FoundPaid => "ends confirmed by the charge that was to be corrected",
        }
    }

    /// Whether it has come to this end.
    pub(crate) fn is_of(self, part: &Part, saga: &Saga, moves: &[(Move, Saga)]) -> bool {
        let goes_on = |nature| matches!(nature, Nature::Progress | Nature::Operator);
        if moves.iter().any(|(step, _)| goes_on(step.nature())) {
            return false;
        }
        let order = part.orders.get(saga.order).status;
        let payment = saga.payment.map(|code| part.payments.get(code).status);
        let refunded = matches!(payment, Some(PaymentStatus::Refunded { .. }));
        let voided = payment == Some(PaymentStatus::Voided);
        let because = |wanted| matches!(order, OrderStatus::Cancelled { reason, .. } if reason == wanted);
        let announced = |topic| saga.facts[slot(topic)].is_some();
        let confirmed = announced(Topic::OrderConfirmed);
        let is_confirmed = matches!(order, OrderStatus::Confirmed { .. });
        match self {
            Self::Confirmed => is_confirmed,
            Self::Declined => {
                because(CancellationReason::PaymentFailed) && saga.book.current() == Charge::Declined
            }
            Self::NeverCharged => voided && saga.errand(Kind::Charge).phase == Phase::Unasked,
            Self::Voided => voided && saga.book.current() == Charge::Voided,
            Self::DeclinedTooLate => voided && saga.book.current() == Charge::Declined,
            Self::GivenBack => refunded && confirmed && because(CancellationReason::CustomerRequest),
            Self::GivenBackLate => refunded && !confirmed && announced(Topic::PaymentCompleted),
            Self::PaidTooLate => refunded && because(CancellationReason::PaymentTimeout),
            Self::PaidAfterAll => refunded && announced(Topic::PaymentFailed),
            Self::PaidAnew => is_confirmed && saga.book.corrected == Some(Charge::Approved),
            Self::FoundPaid => {
                is_confirmed && saga.book.corrected.is_some() && saga.book.charge == Charge::Approved
            }
        }
    }
}
