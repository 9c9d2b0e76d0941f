//! A payment among deliveries that repeat and cross, retries, lost answers, and a provider that keeps its word.

use contracts::reaction::Outgoing;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What the world does next.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    DeliverPlaced,
    DeliverCancelled,
    /// Some action that is due reaches the provider, unless it is not wanted any more. It stays due when the answer is lost.
    Perform {
        which: Index,
        answer_is_lost: bool,
    },
    /// Some answer on its way arrives, and perhaps once more later.
    Answer {
        which: Index,
        again: bool,
    },
}

/// Any turn.
pub(super) fn turn() -> impl Strategy<Value = Turn> {
    let (some, perhaps) = (any::<Index>, prop::bool::weighted(0.3));
    prop_oneof![
        2 => Just(Turn::DeliverPlaced),
        1 => Just(Turn::DeliverCancelled),
        4 => (some(), perhaps).prop_map(|(which, answer_is_lost)| Turn::Perform { which, answer_is_lost }),
        4 => (some(), perhaps).prop_map(|(which, again)| Turn::Answer { which, again }),
    ]
}

/// The payment, its due actions, answers on their way, and the provider's books.
pub(super) struct World {
    pub(super) payment: Option<Payment>,
    pub(super) told: Vec<Outgoing>,
    due: Vec<PaymentAction>,
    answers: Vec<Answer>,
    approves: bool,
    /// The provider's last word on the charge.
    settled: Option<ChargeAnswer>,
    pub(super) charges: u32,
    pub(super) refunds: u32,
    second: u32,
}

impl World {
    pub(super) fn new(approves: bool) -> Self {
        Self {
            payment: None,
            told: Vec::new(),
            due: Vec::new(),
            answers: Vec::new(),
            approves,
            settled: None,
            charges: 0,
            refunds: 0,
            second: 0,
        }
    }

    pub(super) fn take(&mut self, turn: &Turn, is_cancelled: bool) -> Result<(), TestCaseError> {
        match turn {
            Turn::DeliverPlaced => {
                self.apply(|payment, context| on_order_created(payment, &placed(), context))
            }
            Turn::DeliverCancelled if !is_cancelled => Ok(()),
            Turn::DeliverCancelled => {
                self.apply(|payment, context| on_order_cancelled(payment, &taken_back(), context))
            }
            Turn::Perform { .. } if self.due.is_empty() => Ok(()),
            Turn::Perform {
                which,
                answer_is_lost,
            } => {
                self.try_action(which.index(self.due.len()), *answer_is_lost);
                Ok(())
            }
            Turn::Answer { .. } if self.answers.is_empty() => Ok(()),
            Turn::Answer { which, again } => self.deliver(which.index(self.answers.len()), *again),
        }
    }

    /// One that is not wanted any more is dropped.
    fn try_action(&mut self, index: usize, answer_is_lost: bool) {
        let action = self.due.swap_remove(index);
        if !is_wanted(self.payment.as_ref().unwrap(), &action) {
            return;
        }
        let answer = self.perform(&action);
        if answer_is_lost {
            self.due.push(action);
        } else {
            self.answers.push(answer);
        }
    }

    fn deliver(&mut self, index: usize, again: bool) -> Result<(), TestCaseError> {
        let answer = self.answers.swap_remove(index);
        if again {
            self.answers.push(answer.clone());
        }
        self.apply(|payment, context| on_provider_answer(payment, &answer, context))
    }

    /// Delivers what must be delivered in the end, until nothing is left to do.
    pub(super) fn come_to_rest(&mut self, is_cancelled: bool) -> Result<(), TestCaseError> {
        self.take(&Turn::DeliverPlaced, is_cancelled)?;
        self.take(&Turn::DeliverCancelled, is_cancelled)?;
        while !(self.due.is_empty() && self.answers.is_empty()) {
            if !self.due.is_empty() {
                self.try_action(0, false);
            }
            if !self.answers.is_empty() {
                self.deliver(0, false)?;
            }
        }
        Ok(())
    }

    /// No fact and no answer of a provider that keeps its word is ever refused.
    fn apply(
        &mut self,
        react: impl FnOnce(Option<Payment>, &Context) -> Reaction<Payment, PaymentAction>,
    ) -> Result<(), TestCaseError> {
        self.second += 1;
        let step = react(self.payment.clone(), &at(self.second));
        prop_assert!(step.is_ok(), "{:?} of {:?}", step, self.payment);
        if let Ok(Step::Next(next)) = step {
            self.payment = Some(next.state);
            self.told.extend(next.events);
            self.due.extend(next.actions);
        }
        Ok(())
    }

    fn perform(&mut self, action: &PaymentAction) -> Answer {
        match action {
            PaymentAction::Charge { .. } => charge(self.settle_by_charge()),
            PaymentAction::Void { .. } => match self.settled.get_or_insert(ChargeAnswer::Voided) {
                ChargeAnswer::Approved { reference } => captured(reference),
                ChargeAnswer::Declined { .. } | ChargeAnswer::Voided => VOIDED,
            },
            PaymentAction::Refund { .. } => {
                assert!(matches!(self.settled, Some(ChargeAnswer::Approved { .. })));
                self.refunds = 1;
                given_back("re_1")
            }
        }
    }

    fn settle_by_charge(&mut self) -> ChargeAnswer {
        if let Some(settled) = &self.settled {
            return settled.clone();
        }
        let settled = if self.approves {
            self.charges += 1;
            ChargeAnswer::Approved {
                reference: format!("ch_{}", self.charges),
            }
        } else {
            ChargeAnswer::Declined {
                code: "card_declined".to_owned(),
            }
        };
        self.settled.insert(settled).clone()
    }
}
