//! Disputes: somebody has asked their bank for the money of a payment back.
//!
//! The provider reports a dispute's states in any order, late and more than once. Each report says when it was made, so an
//! older one changes nothing that a newer one has said. A dispute leaves the status of its payment as it is: what the saga
//! has come to is one thing, what the bank decides weeks later another.

use chrono::{DateTime, Utc};
use contracts::events::{DisputeOutcome, PaymentDisputeClosed, PaymentDisputed};
use contracts::{Aggregate, Context, DisputeId, Money, Reaction, Rejection, Step, Transition};

use super::Payment;

/// One dispute of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// Its id.
    pub id: DisputeId,
    /// The provider's own id of it.
    pub reference: String,
    /// How much is disputed.
    pub amount: Money,
    /// Why, in the provider's words.
    pub reason: String,
    /// How far it is.
    pub status: DisputeStatus,
    /// Until when it can be answered, where the provider says so.
    pub respond_by: Option<DateTime<Utc>>,
    /// When the provider opened it.
    pub opened_at: DateTime<Utc>,
    /// When the provider closed it.
    pub closed_at: Option<DateTime<Utc>>,
    /// When the provider last took the money out of the account.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// When the provider last put the money back.
    pub reinstated_at: Option<DateTime<Utc>>,
    /// When the provider made the newest report.
    pub reported_at: DateTime<Utc>,
    /// When it was first heard of.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// How far a dispute is. A warning is an inquiry of the bank's, which may become a dispute: no money has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisputeStatus {
    /// The inquiry waits for an answer.
    WarningNeedsResponse,
    /// The inquiry was answered.
    WarningUnderReview,
    /// The inquiry ended and did not become a dispute.
    WarningClosed,
    /// The dispute waits for an answer.
    NeedsResponse,
    /// The bank decides.
    UnderReview,
    /// The money stays.
    Won,
    /// The money is taken back.
    Lost,
    /// It was settled before it became a dispute.
    Prevented,
}

/// Where the disputed money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Funds {
    /// Where it was.
    Untouched,
    /// The provider has taken it out of the account.
    Withdrawn,
    /// The provider has taken it and put it back.
    Reinstated,
}

/// What the provider reports of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeReport {
    /// The provider's own id of it.
    pub reference: String,
    /// How much is disputed.
    pub amount: Money,
    /// Why, in the provider's words.
    pub reason: String,
    /// How far it is.
    pub status: DisputeStatus,
    /// Until when it can be answered.
    pub respond_by: Option<DateTime<Utc>>,
    /// When the provider opened it.
    pub opened_at: DateTime<Utc>,
    /// When the provider made this report.
    pub reported_at: DateTime<Utc>,
    /// Money that has just moved.
    pub moved: Option<Moved>,
}

/// A move of disputed money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// Out of the account.
    Withdrawn,
    /// Back into it.
    Reinstated,
}

/// A payment with its disputes: what is announced of them is numbered among the payment's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputedPayment {
    /// The payment.
    pub payment: Payment,
    /// All of its disputes.
    pub disputes: Vec<Dispute>,
}

impl Aggregate for DisputedPayment {
    fn next_sequence(&mut self) -> u64 {
        self.payment.next_sequence()
    }
}

/// The provider reports a dispute.
///
/// # Errors
/// A [`Rejection`] when there is no such payment.
pub fn on_dispute_reported(
    payment: Option<DisputedPayment>,
    report: &DisputeReport,
    context: &Context,
) -> Reaction<DisputedPayment> {
    let Some(DisputedPayment {
        payment,
        mut disputes,
    }) = payment
    else {
        return Err(Rejection::new("unknown-payment", "a dispute of no known payment"));
    };
    let known = disputes
        .iter_mut()
        .find(|dispute| dispute.reference == report.reference);
    let (before, after) = match known {
        Some(known) => {
            let before = known.clone();
            known.hear(report);
            if *known == before {
                return Ok(Step::Unchanged);
            }
            known.updated_at = context.now;
            (Some(before.status), known.clone())
        }
        None => {
            let dispute = Dispute::opened(report, context);
            disputes.push(dispute.clone());
            (None, dispute)
        }
    };
    let news = News::of(before, after.status);
    let mut next = Transition::to(DisputedPayment { payment, disputes });
    if news.opened {
        let fact = after.disputed(&next.state.payment);
        next = next.announce(fact);
    }
    if let Some(outcome) = news.closed {
        let fact = after.closed(&next.state.payment, outcome);
        next = next.announce(fact);
    }
    Ok(next.into())
}

/// What is to be announced of a move from one status to another.
struct News {
    opened: bool,
    closed: Option<DisputeOutcome>,
}

impl News {
    /// A dispute that is heard of when it is over already was opened too. One that was closed may be opened again, as an
    /// inquiry that the bank takes up once more, or be decided otherwise.
    fn of(before: Option<DisputeStatus>, after: DisputeStatus) -> Self {
        let (was, is) = (before.map(DisputeStatus::outcome), after.outcome());
        Self {
            opened: was.is_none_or(|was| was.is_some() && is.is_none()),
            closed: is.filter(|_| was != Some(is)),
        }
    }
}

impl Dispute {
    fn opened(report: &DisputeReport, context: &Context) -> Self {
        let mut dispute = Self {
            id: DisputeId::new(context.fresh_id),
            reference: report.reference.clone(),
            amount: report.amount,
            reason: report.reason.clone(),
            status: report.status,
            respond_by: report.respond_by,
            opened_at: report.opened_at,
            closed_at: report.status.outcome().map(|_| report.reported_at),
            withdrawn_at: None,
            reinstated_at: None,
            reported_at: report.reported_at,
            created_at: context.now,
            updated_at: context.now,
        };
        dispute.follow_money(report);
        dispute
    }

    /// Takes from a report what is newer than what is known. Amount and opening never change.
    fn hear(&mut self, report: &DisputeReport) {
        self.follow_money(report);
        if report.status == self.status {
            self.closed_at = self.closed_at.map(|at| at.min(report.reported_at));
        }
        // the provider's clock counts seconds: within one, what is further on came later
        let newness = (report.reported_at, report.status.stage());
        if newness <= (self.reported_at, self.status.stage()) {
            return;
        }
        if report.status != self.status {
            self.closed_at = report.status.outcome().map(|_| report.reported_at);
        }
        self.status = report.status;
        self.reason.clone_from(&report.reason);
        self.respond_by = report.respond_by;
        self.reported_at = report.reported_at;
    }

    fn follow_money(&mut self, report: &DisputeReport) {
        let at = match report.moved {
            Some(Moved::Withdrawn) => &mut self.withdrawn_at,
            Some(Moved::Reinstated) => &mut self.reinstated_at,
            None => return,
        };
        *at = (*at).max(Some(report.reported_at));
    }

    /// Where the money is.
    #[must_use]
    pub fn funds(&self) -> Funds {
        match (self.withdrawn_at, self.reinstated_at) {
            (None, None) => Funds::Untouched,
            (withdrawn, reinstated) if reinstated >= withdrawn => Funds::Reinstated,
            (_, _) => Funds::Withdrawn,
        }
    }

    fn disputed(&self, payment: &Payment) -> PaymentDisputed {
        PaymentDisputed {
            payment_id: payment.id,
            order_id: payment.order_id,
            customer_id: payment.customer_id,
            dispute_id: self.id,
            amount: self.amount,
            reason: self.reason.clone(),
            provider_reference: self.reference.clone(),
        }
    }

    fn closed(&self, payment: &Payment, outcome: DisputeOutcome) -> PaymentDisputeClosed {
        PaymentDisputeClosed {
            payment_id: payment.id,
            order_id: payment.order_id,
            customer_id: payment.customer_id,
            dispute_id: self.id,
            amount: self.amount,
            outcome,
            provider_reference: self.reference.clone(),
        }
    }
}

impl DisputeStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::WarningNeedsResponse,
        Self::WarningUnderReview,
        Self::WarningClosed,
        Self::NeedsResponse,
        Self::UnderReview,
        Self::Won,
        Self::Lost,
        Self::Prevented,
    ];

    /// Its name in rows, on the interface and at Stripe.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Prevented => "prevented",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// How it ended; none while it is open.
    #[must_use]
    pub const fn outcome(self) -> Option<DisputeOutcome> {
        match self {
            Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::NeedsResponse
            | Self::UnderReview => None,
            Self::WarningClosed => Some(DisputeOutcome::WarningClosed),
            Self::Won => Some(DisputeOutcome::Won),
            Self::Lost => Some(DisputeOutcome::Lost),
            Self::Prevented => Some(DisputeOutcome::Prevented),
        }
    }

    /// How far on it is in the life of a dispute.
    const fn stage(self) -> u8 {
        match self {
            Self::WarningNeedsResponse => 0,
            Self::WarningUnderReview => 1,
            Self::WarningClosed => 2,
            Self::NeedsResponse => 3,
            Self::UnderReview => 4,
            Self::Prevented | Self::Lost => 5,
            Self::Won => 6,
        }
    }
}

#[cfg(test)]
mod tests;
