//! The order's deadline, and what the order service must have read before its timer may cancel the order for it.
//!
//! The timer takes the ends of the payment topics at some instant after the deadline, and judges when all below them has
//! been read and nothing of the order is parked. An instant later than the deadline only adds to what it waits for, so that
//! the earliest one, the deadline itself, shows every run that any other one does.

use contracts::Topic;
use order::domain::Status as OrderStatus;

use crate::cast::Part;
use crate::desk::{FACTS, Progress, Service, slot};
use crate::flaw::Flaw;
use crate::saga::{Road, Saga};

/// How the order stands to its deadline. Of an order that has ended it does not matter any more, and is as at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Deadline {
    /// It is to come.
    Ahead,
    /// It has passed. By [`slot`], the facts that were on a payment topic by then and that the order service has not
    /// applied or given up since.
    Passed([bool; 6]),
}

impl Saga {
    fn is_unread(&self, topic: Topic) -> bool {
        let progress = self.desk(Service::Order).progress(topic);
        matches!(progress, Progress::Unseen | Progress::Waiting)
    }

    /// The deadline passes.
    pub(crate) fn pass_deadline(&mut self) {
        if self.deadline == Deadline::Ahead {
            let mut said = [false; 6];
            for topic in self.facts_at(Road::Published) {
                said[slot(topic)] = self.reads(Service::Order, topic);
            }
            self.deadline = Deadline::Passed(said);
        }
    }

    /// Whether the timer may judge the order.
    pub(crate) fn may_be_judged(&self, flaw: Option<Flaw>) -> bool {
        let desk = self.desk(Service::Order);
        let unseen = |topic: Topic| desk.progress(topic) == Progress::Unseen;
        let Deadline::Passed(said) = self.deadline else {
            return false;
        };
        let read = FACTS
            .into_iter()
            .all(|topic| !said[slot(topic)] || !unseen(topic));
        match flaw {
            Some(Flaw::JudgedUnread) => true,
            Some(Flaw::JudgedParked) => read,
            Some(_) | None => read && !desk.is_waiting(),
        }
    }

    /// Whether something that was said before the deadline is still without its effect.
    pub(crate) fn is_said_and_unread(&self) -> bool {
        match self.deadline {
            Deadline::Ahead => false,
            Deadline::Passed(said) => FACTS
                .into_iter()
                .any(|topic| said[slot(topic)] && self.is_unread(topic)),
        }
    }

    /// Forgets what does not matter any more.
    pub(crate) fn settle_deadline(&mut self, part: &Part) {
        let pending = part.orders.get(self.order).status == OrderStatus::Pending;
        let Deadline::Passed(mut said) = self.deadline else {
            return;
        };
        for topic in FACTS {
            said[slot(topic)] &= self.is_unread(topic);
        }
        self.deadline = if pending {
            Deadline::Passed(said)
        } else {
            Deadline::Ahead
        };
    }
}
