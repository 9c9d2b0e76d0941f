//! What the saga's model takes for granted about the kernel, as a model of its own: two orders share one outbox, one
//! relay, one partition and one consumer group, and every fact that is committed is taken in, once, in its order.
//!
//! It is the protocol of crates/messaging, not its code: rows whose ids are drawn before they are committed, a relay that
//! reads what it sees, sends it in order and deletes what was acknowledged, a consumer that stores a batch and its memory
//! of it before it commits offsets; and at any moment the death of the relay (whose successor may start while what it had
//! sent is still under way) or of the consumer (which may store a batch after its partition has gone to another). A fact
//! of a batch may fail by itself: it is parked in the batch's own transaction, those of its order wait behind it, those
//! of the other go on; it dies, and is replayed.

mod events;
mod laws;
mod state;

pub(crate) use events::Event;
pub(crate) use state::State;
use stateright::{Model, Property};

/// Facts of each of two orders.
const PER_ORDER: u8 = 2;
/// Facts in all.
const FACTS: u8 = 2 * PER_ORDER;
/// Rows that the relay reads at a time, and records that the consumer does.
const BATCH: usize = 2;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortcut {
    /// The relay goes on after the last id it has seen: a lower one may be committed later.
    CursorOnly,
    /// The relay deletes rows before Kafka has acknowledged them.
    DeleteFirst,
    /// The consumer commits offsets before its batch is stored.
    OffsetsFirst,
    /// The consumer does not remember what it has taken in.
    NoMemory,
    /// A writer draws its id before it holds the lock of its order.
    NoLock,
    /// What has failed is parked after the batch is committed, and the consumer dies in between.
    ParkedApart,
    /// Facts of an order do not wait behind one of theirs that is parked.
    NoQueue,
}

/// The outbox, the relay, the log and the consumer.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    /// How many times something dies.
    pub(crate) faults: u8,
    /// How many times a fact fails by itself, for the first time or for the last.
    pub(crate) failures: u8,
    /// What is broken on purpose.
    pub(crate) shortcut: Option<Shortcut>,
}

/// No fact is applied twice.
pub(crate) const ONCE: &str = "no fact is applied twice";
/// No committed fact is lost.
pub(crate) const KEPT: &str = "no committed fact is lost";
/// The facts of an order keep their order.
pub(crate) const IN_ORDER: &str = "the facts of an order keep their order";
/// No fact is applied while an earlier one of its order is parked.
pub(crate) const WAITED_FOR: &str = "what is parked is waited for by those of its order";
/// In the end everything is applied once.
pub(crate) const ENDS_WELL: &str = "in the end everything is applied once";
/// Without faults it comes to an end.
pub(crate) const LEADS_ON: &str = "without faults it comes to an end";

impl Model for Queues {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![State::begin(self.faults, self.failures)]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        events.extend(self.possible(state));
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        Some(self.after(state, event))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| {
                state.applied.iter().all(|times| *times <= 1)
            }),
            Property::always(KEPT, |model: &Self, state| model.keeps_everything(state)),
            Property::always(IN_ORDER, |model: &Self, state| model.keeps_order(state)),
            Property::always(WAITED_FOR, |_, state: &State| !state.overtaken),
            Property::always(ENDS_WELL, |model: &Self, state| model.ends_well(state)),
            Property::always(LEADS_ON, |model: &Self, state| model.leads_on(state)),
            Property::sometimes("a record comes twice", |_, state: &State| {
                state.log.len() > usize::from(FACTS)
            }),
        ]
    }
}
