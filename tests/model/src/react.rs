//! The services' own reactions, called as the kernel calls them: state, fact, context in; the new state, its facts and
//! its actions stored together, or nothing at all.

use contracts::{Event, Reaction, Rejection, Step, Topic};
use notification::domain::notify;
use order::domain::{
    Order, Status as OrderStatus, on_payment_completed, on_payment_failed, on_payment_refunded,
};
use payment::domain::{
    Answer, ChargeAnswer, ChargeKey, Payment, PaymentAction, Status as PaymentStatus, VoidAnswer,
    on_charge_notice, on_order_cancelled, on_order_created, on_provider_answer,
};

use crate::cast::Part;
use crate::desk::{Service, slot};
use crate::flaw::Flaw;
use crate::provider::Told;
use crate::saga::Saga;

/// The reaction refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rejected;

impl Saga {
    /// `service` reacts to the fact of `topic`.
    pub(crate) fn react(
        &mut self,
        part: &Part,
        service: Service,
        topic: Topic,
        flaw: Option<Flaw>,
    ) -> Result<(), Rejected> {
        let announced = self.facts[slot(topic)].expect("only what was announced arrives");
        let event = part.facts.get(announced.fact).event;
        match service {
            Service::Order => self.move_order(part, |order| order_reacts(order, &event, part, flaw)),
            Service::Payment => {
                self.move_payment(part, |payment| payment_reacts(payment, &event, part, flaw))
            }
            Service::Notification => {
                self.tell(part, &event);
                Ok(())
            }
        }
    }

    /// The payment reacts to the provider's answer.
    pub(crate) fn react_to_answer(
        &mut self,
        part: &Part,
        answer: &Answer,
        flaw: Option<Flaw>,
    ) -> Result<(), Rejected> {
        self.move_payment(part, |payment| {
            if payment.as_ref().is_some_and(is_cancel_wanted) && ignores(flaw, answer) {
                return Ok(Step::Unchanged);
            }
            on_provider_answer(payment, answer, &part.payment_context())
        })
    }

    /// The payment hears what the provider tells unasked. What it refuses is written down for a person, and never comes
    /// again.
    pub(crate) fn hear(&mut self, part: &Part, told: Told, flaw: Option<Flaw>) {
        let notice = self.book.notice(told);
        let _ = self.move_payment(part, |payment| {
            let payment = match flaw {
                Some(Flaw::FailedAndCompleted) => payment.map(as_if_never_failed),
                Some(_) | None => payment,
            };
            let charge = match (told, &payment) {
                (Told::EarlierDeclined | Told::EarlierCancelled, _)
                    if flaw != Some(Flaw::EarlierNoticeHeard) =>
                {
                    ChargeKey::first(part.id)
                }
                (_, Some(payment)) => payment.charge_key(),
                (_, None) => ChargeKey::first(part.id),
            };
            on_charge_notice(charge, payment, &notice, &part.payment_context())
        });
    }

    /// The order takes a step.
    pub(crate) fn move_order<E>(
        &mut self,
        part: &Part,
        react: impl FnOnce(Order) -> Result<Step<Order>, E>,
    ) -> Result<(), Rejected> {
        let before = part.orders.get(self.order);
        let (announced, ended) = (
            before.announced,
            matches!(before.status, OrderStatus::Cancelled { .. }),
        );
        match react(before) {
            Ok(Step::Unchanged) => {}
            Ok(Step::Next(next)) => {
                self.wrongs.reopened |= ended && !matches!(next.state.status, OrderStatus::Cancelled { .. });
                self.announce(part, announced, &next.events);
                self.order = part.orders.code(&next.state);
            }
            Err(_) => return Err(self.rejected()),
        }
        Ok(())
    }

    fn move_payment(
        &mut self,
        part: &Part,
        react: impl FnOnce(Option<Payment>) -> Reaction<Payment, PaymentAction>,
    ) -> Result<(), Rejected> {
        let before = self.payment.map(|code| part.payments.get(code));
        let announced = before.as_ref().map_or(0, |payment| payment.announced);
        let ended = before.as_ref().is_some_and(has_ended);
        match react(before) {
            Ok(Step::Unchanged) => {}
            Ok(Step::Next(next)) => {
                // what took the money after all is not over: it must go back
                self.wrongs.reopened |= ended && !self.book.turned;
                self.announce(part, announced, &next.events);
                self.ask(part, &next.actions);
                let uncounted = Payment {
                    attempts: 0,
                    ..next.state
                };
                self.payment = Some(part.payments.code(&uncounted));
            }
            Err(_) => return Err(self.rejected()),
        }
        Ok(())
    }

    fn rejected(&mut self) -> Rejected {
        self.wrongs.rejected = true;
        Rejected
    }

    fn tell(&mut self, part: &Part, event: &Event) {
        let context = part.context();
        let told = match event {
            Event::OrderCreated(fact) => notify(None, fact, &context),
            Event::OrderConfirmed(fact) => notify(None, fact, &context),
            Event::OrderCancelled(fact) => notify(None, fact, &context),
            Event::PaymentCompleted(fact) => notify(None, fact, &context),
            Event::PaymentFailed(fact) => notify(None, fact, &context),
            Event::PaymentRefunded(fact) => notify(None, fact, &context),
            Event::PaymentDisputed(_)
            | Event::PaymentDisputeClosed(_)
            | Event::UserRegistered(_)
            | Event::SessionRevoked(_) => panic!("no fact of a saga"),
        };
        let Ok(Step::Next(told)) = told else {
            panic!("whatever was announced is told")
        };
        self.mails = (self.mails + 1).min(2);
        self.wrongs.misdirected |=
            told.state.user_id != part.customer || told.state.order_id != Some(part.id);
    }
}

fn has_ended(payment: &Payment) -> bool {
    match payment.status {
        PaymentStatus::Failed { .. } | PaymentStatus::Voided | PaymentStatus::Refunded { .. } => true,
        PaymentStatus::Processing { .. }
        | PaymentStatus::Completed { .. }
        | PaymentStatus::Refunding { .. } => false,
    }
}

/// A void is announced to nobody, so that money taken after it may be.
fn as_if_never_failed(payment: Payment) -> Payment {
    match payment.status {
        PaymentStatus::Failed { .. } => Payment {
            status: PaymentStatus::Voided,
            ..payment
        },
        PaymentStatus::Processing { .. }
        | PaymentStatus::Completed { .. }
        | PaymentStatus::Voided
        | PaymentStatus::Refunding { .. }
        | PaymentStatus::Refunded { .. } => payment,
    }
}

fn is_cancel_wanted(payment: &Payment) -> bool {
    payment.status == PaymentStatus::Processing { cancel_wanted: true }
}

fn ignores(flaw: Option<Flaw>, answer: &Answer) -> bool {
    let approval = matches!(
        answer,
        Answer::Charge {
            answer: ChargeAnswer::Approved { .. },
            ..
        }
    );
    let capture = matches!(answer, Answer::Void(VoidAnswer::Captured { .. }));
    match flaw {
        Some(Flaw::LateApprovalIgnored) => approval,
        Some(Flaw::LateCaptureIgnored) => approval || capture,
        Some(_) | None => false,
    }
}

fn order_reacts(order: Order, event: &Event, part: &Part, flaw: Option<Flaw>) -> Reaction<Order> {
    let context = part.context();
    match event {
        Event::PaymentCompleted(fact) => {
            let revived = match flaw {
                Some(Flaw::PaidOrderRevived) => Order {
                    status: OrderStatus::Pending,
                    ..order
                },
                Some(_) | None => order,
            };
            on_payment_completed(Some(revived), fact, &context)
        }
        Event::PaymentFailed(fact) => on_payment_failed(Some(order), fact, &context),
        Event::PaymentRefunded(_)
            if flaw == Some(Flaw::EarlyRefundRefused) && order.status == OrderStatus::Pending =>
        {
            Err(Rejection::new("refunded-not-cancelled", "it comes too early"))
        }
        Event::PaymentRefunded(fact) => on_payment_refunded(Some(order), fact, &context),
        Event::OrderCreated(_)
        | Event::OrderConfirmed(_)
        | Event::OrderCancelled(_)
        | Event::PaymentDisputed(_)
        | Event::PaymentDisputeClosed(_)
        | Event::UserRegistered(_)
        | Event::SessionRevoked(_) => panic!("the order service does not listen to that"),
    }
}

fn payment_reacts(
    payment: Option<Payment>,
    event: &Event,
    part: &Part,
    flaw: Option<Flaw>,
) -> Reaction<Payment, PaymentAction> {
    let context = part.payment_context();
    match event {
        Event::OrderCreated(fact) => on_order_created(payment, fact, &context),
        Event::OrderCancelled(_) if payment.is_none() && flaw == Some(Flaw::EarlyCancellationIgnored) => {
            Ok(Step::Unchanged)
        }
        Event::OrderCancelled(fact) => on_order_cancelled(payment, fact, &context),
        Event::OrderConfirmed(_)
        | Event::PaymentCompleted(_)
        | Event::PaymentFailed(_)
        | Event::PaymentRefunded(_)
        | Event::PaymentDisputed(_)
        | Event::PaymentDisputeClosed(_)
        | Event::UserRegistered(_)
        | Event::SessionRevoked(_) => panic!("the payment service does not listen to that"),
    }
}
