//! One order's saga as it stands: the rows of each service about it, what is on Kafka, and the provider's books.

use contracts::Topic;
use contracts::reaction::Outgoing;
use order::domain::{PaymentMethods, place};
use payment::domain::PaymentAction;

use crate::cast::{Code, METHOD, Part};
use crate::deadline::Deadline;
use crate::desk::{Desk, FACTS, Service, slot};
use crate::errand::{Errand, Kind, Phase};
use crate::provider::Book;

/// How far a fact has come on its way to those who listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Road {
    /// It is in the announcer's outbox.
    Outbox,
    /// Kafka would not have it; it is a dead letter of the announcer.
    SetAside,
    /// It is on Kafka.
    Published,
}

/// A fact that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Announced {
    /// What it says.
    pub(crate) fact: Code,
    /// Where it is.
    pub(crate) road: Road,
}

/// What must never happen, and leaves no other trace in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Wrongs {
    /// A reaction refused a fact or an answer.
    pub(crate) rejected: bool,
    /// A service took charge of an event that it had taken charge of before.
    pub(crate) taken_twice: bool,
    /// A fact was announced, or an action asked for, a second time.
    pub(crate) said_twice: bool,
    /// A fact, action or notification is about another order or customer, or bears the wrong number.
    pub(crate) misdirected: bool,
    /// An order or a payment that had ended moved on.
    pub(crate) reopened: bool,
    /// The provider was asked for what it cannot do: another amount under the same key, a refund of nothing.
    pub(crate) refused: bool,
    /// A charge was begun although the payment knew that the order was cancelled.
    pub(crate) unwanted_charge: bool,
    /// An order was cancelled at its deadline although its payment had been announced before, and was not read.
    pub(crate) judged_unread: bool,
}

/// One order's saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Saga {
    /// The order's row.
    pub(crate) order: Code,
    /// Its deadline.
    pub(crate) deadline: Deadline,
    /// The payment's row.
    pub(crate) payment: Option<Code>,
    /// What was announced, by [`slot`].
    pub(crate) facts: [Option<Announced>; 6],
    /// The order service's inbox.
    pub(crate) order_desk: Desk,
    /// The payment service's inbox.
    pub(crate) payment_desk: Desk,
    /// The notification service's inbox; it sees the watched fact only.
    pub(crate) mail_desk: Desk,
    /// The fact whose notification this run follows. What becomes of a notification influences nothing else, so that
    /// they can be followed one at a time.
    pub(crate) watched: Option<Topic>,
    /// Notifications of the watched fact.
    pub(crate) mails: u8,
    /// The payment's actions, by [`Kind::slot`].
    pub(crate) errands: [Errand; 3],
    /// The charge was sent before an operator corrected it: that request can still arrive.
    pub(crate) sent_before: bool,
    /// The provider's books.
    pub(crate) book: Book,
    /// What went wrong.
    pub(crate) wrongs: Wrongs,
}

impl Saga {
    /// The order is just placed; nobody has heard of it.
    pub(crate) fn begin(part: &Part, watched: Option<Topic>) -> Self {
        let method = PaymentMethods::Simulated.find(METHOD).expect("a payment method");
        let placed = place(part.customer, &[(part.product(), 1)], method, &part.context()).expect("an order");
        let mut saga = Self {
            order: part.orders.code(&placed.state),
            deadline: Deadline::Ahead,
            payment: None,
            facts: [None; 6],
            order_desk: Desk::EMPTY,
            payment_desk: Desk::EMPTY,
            mail_desk: Desk::EMPTY,
            watched,
            mails: 0,
            errands: [Errand::UNASKED; 3],
            sent_before: false,
            book: Book::EMPTY,
            wrongs: Wrongs::default(),
        };
        saga.announce(part, 0, &placed.events);
        saga
    }

    /// The inbox of `service`.
    pub(crate) fn desk(&self, service: Service) -> &Desk {
        match service {
            Service::Order => &self.order_desk,
            Service::Payment => &self.payment_desk,
            Service::Notification => &self.mail_desk,
        }
    }

    /// The inbox of `service`.
    pub(crate) fn desk_mut(&mut self, service: Service) -> &mut Desk {
        match service {
            Service::Order => &mut self.order_desk,
            Service::Payment => &mut self.payment_desk,
            Service::Notification => &mut self.mail_desk,
        }
    }

    /// Whether `service` gets to see `topic` in this run.
    pub(crate) fn reads(&self, service: Service, topic: Topic) -> bool {
        service.hears(topic) && (service != Service::Notification || self.watched == Some(topic))
    }

    /// The action of that kind.
    pub(crate) fn errand(&self, kind: Kind) -> &Errand {
        &self.errands[kind.slot()]
    }

    /// The action of that kind.
    pub(crate) fn errand_mut(&mut self, kind: Kind) -> &mut Errand {
        &mut self.errands[kind.slot()]
    }

    /// Facts go to the outbox of an aggregate that had announced `before` of them.
    pub(crate) fn announce(&mut self, part: &Part, before: u64, events: &[Outgoing]) {
        for (number, outgoing) in (before + 1..).zip(events) {
            let event = &outgoing.event;
            self.wrongs.misdirected |= event.key() != part.id.uuid() || outgoing.sequence != number;
            let place = &mut self.facts[slot(event.topic())];
            self.wrongs.said_twice |= place.is_some();
            *place = Some(Announced {
                fact: part.facts.code(outgoing),
                road: Road::Outbox,
            });
        }
    }

    /// Actions get their rows.
    pub(crate) fn ask(&mut self, part: &Part, actions: &[PaymentAction]) {
        for action in actions {
            let errand = self.errand_mut(Kind::of(action));
            let again = errand.action.is_some();
            errand.action = Some(part.actions.code(action));
            errand.phase = Phase::Due;
            self.wrongs.said_twice |= again;
        }
    }

    /// The facts that are at that place.
    pub(crate) fn facts_at(&self, road: Road) -> impl Iterator<Item = Topic> {
        let facts = self.facts;
        FACTS
            .into_iter()
            .filter(move |topic| facts[slot(*topic)].is_some_and(|announced| announced.road == road))
    }
}
