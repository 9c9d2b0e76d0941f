//! What a service has made of the facts about one order: the kernel's inbox, its memory of event ids, and the messages
//! of the order's key that wait in its table of work.

use contracts::Topic;

/// The facts of a saga.
pub(crate) const FACTS: [Topic; 6] = [
    Topic::OrderCreated,
    Topic::OrderConfirmed,
    Topic::OrderCancelled,
    Topic::PaymentCompleted,
    Topic::PaymentFailed,
    Topic::PaymentRefunded,
];

/// The place of a fact in tables of facts.
pub(crate) fn slot(topic: Topic) -> usize {
    FACTS
        .iter()
        .position(|fact| *fact == topic)
        .expect("a fact of the saga")
}

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    /// The order service.
    Order,
    /// The payment service.
    Payment,
    /// The notification service.
    Notification,
}

impl Service {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Order, Self::Payment, Self::Notification];

    /// Whether it listens to `topic`.
    pub(crate) fn hears(self, topic: Topic) -> bool {
        match self {
            Self::Order => matches!(
                topic,
                Topic::PaymentCompleted | Topic::PaymentFailed | Topic::PaymentRefunded
            ),
            Self::Payment => matches!(topic, Topic::OrderCreated | Topic::OrderCancelled),
            Self::Notification => FACTS.contains(&topic),
        }
    }
}

/// How far a service is with a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Progress {
    /// It has not come yet.
    Unseen,
    /// It is parked: its handler failed, or it waits behind another.
    Waiting,
    /// It is a dead letter.
    Dead,
    /// It is applied.
    Applied,
}

/// One service's table of the facts about one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Desk {
    progress: [Progress; 6],
    /// Parked and dead messages, in the order in which they were parked.
    lane: [Option<u8>; 3],
}

impl Desk {
    /// Before anything arrives.
    pub(crate) const EMPTY: Self = Self {
        progress: [Progress::Unseen; 6],
        lane: [None; 3],
    };

    /// How far the service is with a fact.
    pub(crate) fn progress(&self, topic: Topic) -> Progress {
        self.progress[slot(topic)]
    }

    /// Whether messages of the key wait, so that others must wait behind them. Dead letters hold up nobody.
    pub(crate) fn is_waiting(&self) -> bool {
        self.head().is_some()
    }

    /// The message that is next among those that wait.
    pub(crate) fn head(&self) -> Option<Topic> {
        let waits = |topic: &Topic| self.progress(*topic) == Progress::Waiting;
        self.lane
            .iter()
            .flatten()
            .map(|slot| FACTS[usize::from(*slot)])
            .find(waits)
    }

    /// The fact is applied, and its row, if it had one, is deleted.
    pub(crate) fn apply(&mut self, topic: Topic) {
        self.progress[slot(topic)] = Progress::Applied;
        let mut rest = self
            .lane
            .into_iter()
            .flatten()
            .filter(|parked| usize::from(*parked) != slot(topic));
        self.lane = [rest.next(), rest.next(), rest.next()];
    }

    /// The fact gets a row, behind those that are there.
    pub(crate) fn park(&mut self, topic: Topic) {
        self.progress[slot(topic)] = Progress::Waiting;
        let free = self
            .lane
            .iter_mut()
            .find(|place| place.is_none())
            .expect("a service hears of three facts at most");
        *free = Some(u8::try_from(slot(topic)).expect("six facts"));
    }

    /// Retries are spent.
    pub(crate) fn bury(&mut self, topic: Topic) {
        self.progress[slot(topic)] = Progress::Dead;
    }

    /// An operator replays a dead letter; it keeps its place.
    pub(crate) fn replay(&mut self, topic: Topic) {
        self.progress[slot(topic)] = Progress::Waiting;
    }
}
