//! The provider's books on one order, kept as payment/src/provider/simulated/books.rs keeps them: one charge a key, whose
//! first result stands. A provider like Stripe also tells unasked what became of a charge, and now and then takes the
//! money of one that it had refused: the customer has tried once more where the saga does not see it. Of an order whose
//! charge an operator has corrected there are two, as payment/src/provider/by_payment.rs has them: the earlier one is voided
//! before the other is asked for, and is the answer when it has taken the money.

use payment::domain::{Answer, ChargeAnswer, Notice, PaymentAction, VoidAnswer};

use crate::cast::{METHOD, OTHER_METHOD, Part};
use crate::flaw::Flaw;

const DECLINED: &str = "card_declined";
const REFUND: &str = "re";
/// The provider's own id of the corrected charge.
const OTHER: &str = "ch-other";

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
    /// The charge under the order's key.
    pub(crate) charge: Charge,
    /// The charge under the key of the correction, once there is one.
    pub(crate) corrected: Option<Charge>,
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
    /// The charge that was corrected was refused.
    EarlierDeclined,
    /// The charge that was corrected is voided.
    EarlierCancelled,
}

/// The provider will not do it, whatever the number of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl Book {
    /// Before anybody asks.
    pub(crate) const EMPTY: Self = Self {
        charge: Charge::Open,
        corrected: None,
        captures: 0,
        refunds: 0,
        turned: false,
    };

    /// What it may make of `action`: it has a choice only while the charge is open.
    pub(crate) fn verdicts(&self, action: &PaymentAction) -> &'static [Verdict] {
        let asked = match action {
            PaymentAction::Charge { payment_method, .. } if payment_method == OTHER_METHOD => self.corrected,
            PaymentAction::Charge { .. } => Some(self.charge),
            PaymentAction::Void { .. } | PaymentAction::Refund { .. } => None,
        };
        if asked == Some(Charge::Open) {
            &[Verdict::Approve, Verdict::Decline]
        } else {
            &[Verdict::Approve]
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
                let corrects = payment_method == OTHER_METHOD && self.corrected.is_some();
                if (*order_id, *amount) != (part.id, part.total) || !(corrects || payment_method == METHOD) {
                    return Err(Refused);
                }
                let answer = if corrects {
                    self.charge_anew(verdict, flaw)
                } else {
                    self.charge(verdict, flaw)
                };
                Ok(Answer::Charge {
                    answer,
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
                && self.has_taken()
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
                reference: self.reference_of_first(),
            },
            Charge::Declined => ChargeAnswer::Declined {
                code: DECLINED.to_owned(),
            },
            Charge::Voided | Charge::Open => ChargeAnswer::Voided,
        }
    }

    /// The charge as the operator has corrected it.
    fn charge_anew(&mut self, verdict: Verdict, flaw: Option<Flaw>) -> ChargeAnswer {
        if flaw != Some(Flaw::EarlierChargeNotVoided) {
            let earlier = self.void_first(flaw);
            if let VoidAnswer::Captured { reference } = earlier
                && flaw != Some(Flaw::EarlierCaptureIgnored)
            {
                return ChargeAnswer::Approved { reference };
            }
        }
        if self.corrected == Some(Charge::Open) {
            self.corrected = Some(match verdict {
                Verdict::Approve => Charge::Approved,
                Verdict::Decline => Charge::Declined,
            });
            self.captures += u8::from(verdict == Verdict::Approve);
        }
        match self.corrected {
            Some(Charge::Approved) => ChargeAnswer::Approved {
                reference: OTHER.to_owned(),
            },
            Some(Charge::Declined) => ChargeAnswer::Declined {
                code: DECLINED.to_owned(),
            },
            Some(Charge::Voided | Charge::Open) | None => ChargeAnswer::Voided,
        }
    }

    /// An operator corrects the charge.
    pub(crate) fn correct(&mut self) {
        self.corrected = Some(Charge::Open);
    }

    /// Whoever performs the corrected charge comes as far as voiding the earlier one, and no further.
    pub(crate) fn fence(&mut self, flaw: Option<Flaw>) {
        if self.corrected.is_some() && flaw != Some(Flaw::EarlierChargeNotVoided) {
            self.void_first(flaw);
        }
    }

    fn void(&mut self, flaw: Option<Flaw>) -> VoidAnswer {
        let first = self.void_first(flaw);
        if matches!(first, VoidAnswer::Captured { .. }) {
            return first;
        }
        if self.corrected == Some(Charge::Open) {
            self.corrected = Some(Charge::Voided);
        }
        match self.corrected {
            Some(Charge::Approved) => VoidAnswer::Captured {
                reference: OTHER.to_owned(),
            },
            Some(Charge::Open | Charge::Declined | Charge::Voided) | None => VoidAnswer::Voided,
        }
    }

    fn void_first(&mut self, flaw: Option<Flaw>) -> VoidAnswer {
        if self.charge == Charge::Open && flaw != Some(Flaw::VoidNotFenced) {
            self.charge = Charge::Voided;
        }
        match self.charge {
            Charge::Approved => VoidAnswer::Captured {
                reference: self.reference_of_first(),
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
            Told::Declined => self.current() == Charge::Declined || self.turned,
            Told::Cancelled => self.current() == Charge::Voided,
            Told::GivenBack => self.refunds > 0,
            Told::EarlierDeclined => self.corrected.is_some() && self.charge == Charge::Declined,
            Told::EarlierCancelled => self.corrected.is_some() && self.charge == Charge::Voided,
        };
        [
            Told::Taken,
            Told::Declined,
            Told::Cancelled,
            Told::GivenBack,
            Told::EarlierDeclined,
            Told::EarlierCancelled,
        ]
        .into_iter()
        .filter(has_happened)
    }

    /// How it is told.
    pub(crate) fn notice(self, told: Told) -> Notice {
        match told {
            Told::Taken => Notice::Taken {
                reference: self.reference(),
            },
            Told::Declined | Told::EarlierDeclined => Notice::Declined {
                code: DECLINED.to_owned(),
            },
            Told::Cancelled | Told::EarlierCancelled => Notice::Cancelled,
            Told::GivenBack => Notice::GivenBack {
                refund_reference: REFUND.to_owned(),
            },
        }
    }

    /// The charge that counts now.
    pub(crate) fn current(self) -> Charge {
        self.corrected.unwrap_or(self.charge)
    }

    /// Whether a charge has taken the money.
    pub(crate) fn has_taken(self) -> bool {
        self.charge == Charge::Approved || self.corrected == Some(Charge::Approved)
    }

    /// The provider's own id of the charge that took the money; of the first one, when both did.
    fn reference(self) -> String {
        if self.charge == Charge::Approved {
            self.reference_of_first()
        } else {
            OTHER.to_owned()
        }
    }

    /// Another one each time that the money is taken.
    fn reference_of_first(self) -> String {
        format!("ch-{}", self.captures)
    }

    /// How often money was taken and not given back.
    pub(crate) const fn kept(self) -> u8 {
        self.captures.saturating_sub(self.refunds)
    }
}
