//! The provider's books on one order, kept as payment/src/provider/simulated/books.rs keeps them: one charge a key, whose
//! first result stands. A provider like Stripe also tells unasked what became of a charge, and now and then takes the
//! money of one that it had refused: the customer has tried once more where the saga does not see it.

use payment::domain::{Answer, ChargeAnswer, Notice, PaymentAction, VoidAnswer};

use crate::cast::{METHOD, Part};
use crate::flaw::Flaw;

const DECLINED: &str = "card_declined";
const REFUND: &str = "re";

/// The charge under the order's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Charge {
    /// Nobody has asked, or no attempt has come to anything.
    Open,
    /// The money is taken.
    Approved,
    /// It was refused.
    Declined,
    /// It was voided; it takes nothing any more.
    Voided,
}

/// What the provider makes of a charge that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// It takes the money.
    Approve,
    /// It refuses.
    Decline,
}

/// The books on one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Book {
    /// The charge.
    pub(crate) charge: Charge,
    /// How often money was taken.
    pub(crate) captures: u8,
    /// How often it was given back.
    pub(crate) refunds: u8,
    /// The charge was refused, and took the money after all.
    pub(crate) turned: bool,
}

/// What the provider may tell unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    /// The money is taken.
    Taken,
    /// The charge was refused.
    Declined,
    /// The charge is voided.
    Cancelled,
    /// The money is given back.
    GivenBack,
}

/// The provider will not do it, whatever the number of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl Book {
    /// Before anybody asks.
    pub(crate) const EMPTY: Self = Self {
        charge: Charge::Open,
        captures: 0,
        refunds: 0,
        turned: false,
    };

    /// What it may make of `action`: it has a choice only while the charge is open.
    pub(crate) fn verdicts(&self, action: &PaymentAction) -> &'static [Verdict] {
        match (action, self.charge) {
            (PaymentAction::Charge { .. }, Charge::Open) => &[Verdict::Approve, Verdict::Decline],
            (PaymentAction::Charge { .. } | PaymentAction::Void { .. } | PaymentAction::Refund { .. }, _) => {
                &[Verdict::Approve]
            }
        }
    }

    /// Does what `action` asks and answers. Asked again, it answers the same and does nothing.
    pub(crate) fn perform(
        &mut self,
        part: &Part,
        action: &PaymentAction,
        verdict: Verdict,
        flaw: Option<Flaw>,
    ) -> Result<Answer, Refused> {
        match action {
            PaymentAction::Charge {
                order_id,
                amount,
                payment_method,
            } => {
                if (*order_id, *amount, payment_method.as_str()) != (part.id, part.total, METHOD) {
                    return Err(Refused);
                }
                Ok(Answer::Charge {
                    answer: self.charge(verdict, flaw),
                    // how often it was asked changes nothing but this number: it is not told apart
                    attempts: 1,
                })
            }
            PaymentAction::Void { order_id } if *order_id == part.id => Ok(Answer::Void(self.void(flaw))),
            PaymentAction::Refund {
                order_id,
                amount,
                provider_reference,
            } if (*order_id, *amount) == (part.id, part.total)
                && self.charge == Charge::Approved
                && *provider_reference == self.reference() =>
            {
                self.refunds = 1;
                Ok(Answer::Refunded {
                    refund_reference: REFUND.to_owned(),
                })
            }
            PaymentAction::Void { .. } | PaymentAction::Refund { .. } => Err(Refused),
        }
    }

    fn charge(&mut self, verdict: Verdict, flaw: Option<Flaw>) -> ChargeAnswer {
        if self.charge == Charge::Open {
            self.charge = match verdict {
                Verdict::Approve => Charge::Approved,
                Verdict::Decline => Charge::Declined,
            };
            self.captures += u8::from(verdict == Verdict::Approve);
        } else if self.charge == Charge::Approved && flaw == Some(Flaw::ChargeNotKeyed) {
            self.captures = (self.captures + 1).min(2);
        }
        match self.charge {
            Charge::Approved => ChargeAnswer::Approved {
                reference: self.reference(),
            },
            Charge::Declined => ChargeAnswer::Declined {
                code: DECLINED.to_owned(),
            },
            Charge::Voided | Charge::Open => ChargeAnswer::Voided,
        }
    }

    fn void(&mut self, flaw: Option<Flaw>) -> VoidAnswer {
        if self.charge == Charge::Open && flaw != Some(Flaw::VoidNotFenced) {
            self.charge = Charge::Voided;
        }
        match self.charge {
            Charge::Approved => VoidAnswer::Captured {
                reference: self.reference(),
            },
            Charge::Open | Charge::Declined | Charge::Voided => VoidAnswer::Voided,
        }
    }

    /// A charge that was refused takes the money after all.
    pub(crate) fn turn(&mut self) {
        if self.charge == Charge::Declined {
            (self.charge, self.captures, self.turned) = (Charge::Approved, self.captures + 1, true);
        }
    }

    /// What has happened here and can be told, now or at any later time, and again.
    pub(crate) fn tellable(self) -> impl Iterator<Item = Told> {
        let has_happened = move |told: &Told| match told {
            Told::Taken => self.captures > 0,
            Told::Declined => self.charge == Charge::Declined || self.turned,
            Told::Cancelled => self.charge == Charge::Voided,
            Told::GivenBack => self.refunds > 0,
        };
        [Told::Taken, Told::Declined, Told::Cancelled, Told::GivenBack]
            .into_iter()
            .filter(has_happened)
    }

    /// How it is told.
    pub(crate) fn notice(self, told: Told) -> Notice {
        match told {
            Told::Taken => Notice::Taken {
                reference: self.reference(),
            },
            Told::Declined => Notice::Declined {
                code: DECLINED.to_owned(),
            },
            Told::Cancelled => Notice::Cancelled,
            Told::GivenBack => Notice::GivenBack {
                refund_reference: REFUND.to_owned(),
            },
        }
    }

    /// The provider's own id of the charge that took the money last.
    fn reference(self) -> String {
        format!("ch-{}", self.captures)
    }

    /// How often money was taken and not given back.
    pub(crate) const fn kept(self) -> u8 {
        self.captures.saturating_sub(self.refunds)
    }
}
