//! What the saga's model takes for granted about the kernel, as a model of its own: two orders share one outbox, one
//! relay, one partition and one consumer group, and every fact that is committed is taken in, once, in its order.
//!
//! It is the protocol of crates/messaging, not its code: rows whose ids are drawn before they are committed, a relay that
//! reads what it sees, sends it in order and deletes what was acknowledged, a consumer that stores a batch and its memory
//! of it before it commits offsets; and at any moment the death of the relay (whose successor may start while what it had
//! sent is still under way) or of the consumer (which may store a batch after its partition has gone to another).

use stateright::{Model, Property};

/// Facts of each of two orders.
const PER_ORDER: u8 = 2;
/// Facts in all.
const FACTS: u8 = 2 * PER_ORDER;
/// Rows that the relay reads at a time, and records that the consumer does.
const BATCH: usize = 2;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortcut {
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
}

/// The outbox, the relay, the log and the consumer.
#[derive(Debug, Default)]
pub struct Queues {
    /// How many times something dies.
    pub faults: u8,
    /// What is broken on purpose.
    pub shortcut: Option<Shortcut>,
}

/// How far a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Row {
    /// Its id is drawn, its transaction is open.
    Open,
    /// It is committed.
    There,
    /// It is deleted.
    Gone,
    /// Its transaction was rolled back; there never was a row.
    Never,
}

impl Row {
    /// Whether nobody will ever see it again.
    fn has_ended(self) -> bool {
        matches!(self, Self::Gone | Self::Never)
    }
}

/// A relay that has the lead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Relay {
    /// The rows that it has read.
    batch: Vec<usize>,
    /// How many of them Kafka has.
    sent: usize,
}

/// A consumer that has the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Member {
    /// Its batch, from and to which offset.
    batch: (usize, usize),
    /// Whether the batch is stored.
    stored: bool,
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// In the order of their ids: which fact, and how far it is.
    rows: Vec<(u8, Row)>,
    /// From which row on the relay looks.
    mark: usize,
    relay: Option<Relay>,
    /// What a dead relay had handed to its client, and may still get to Kafka.
    stray: Vec<u8>,
    log: Vec<u8>,
    /// The committed offset.
    offset: usize,
    member: Option<Member>,
    /// The batch of a consumer that does not know yet that it has lost its partition.
    zombie: Option<(usize, usize)>,
    /// How often each fact was applied.
    applied: [u8; 4],
    faults_left: u8,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A transaction of that order draws an id for its next fact.
    Draw(u8),
    /// The transaction of that row commits.
    Commit(usize),
    /// It is rolled back; its fact comes again with another id.
    RollBack(usize),
    /// A relay takes the lead.
    Lead,
    /// It reads rows.
    Scan,
    /// Kafka gets the next of them.
    Send,
    /// All are acknowledged: their rows are deleted.
    Delete,
    /// The relay dies, or loses the lead without knowing.
    RelayDies,
    /// Something that it had sent arrives after all.
    StrayArrives,
    /// A consumer is assigned the partition.
    Join,
    /// It collects a batch.
    Poll,
    /// It stores the batch.
    Store,
    /// It commits the offset.
    CommitOffset,
    /// It dies, or loses the partition without knowing.
    MemberLost,
    /// A batch is stored by one that has lost the partition.
    ZombieStores,
}

impl Event {
    /// Whether it happens by itself in the end.
    fn is_progress(self) -> bool {
        match self {
            Self::Draw(_)
            | Self::Commit(_)
            | Self::Lead
            | Self::Scan
            | Self::Send
            | Self::Delete
            | Self::Join
            | Self::Poll
            | Self::Store
            | Self::CommitOffset => true,
            Self::RollBack(_)
            | Self::RelayDies
            | Self::StrayArrives
            | Self::MemberLost
            | Self::ZombieStores => false,
        }
    }

    /// Whether it is counted as a fault.
    fn is_fault(self) -> bool {
        matches!(self, Self::RollBack(_) | Self::RelayDies | Self::MemberLost)
    }
}

const fn order_of(fact: u8) -> u8 {
    fact / PER_ORDER
}

impl State {
    /// The next fact of `order` that has no row yet. Those who write about one order hold its lock: one at a time.
    fn next_fact(&self, order: u8, shortcut: Option<Shortcut>) -> Option<u8> {
        let live = |wanted: u8| self.drawn().any(|fact| fact == wanted);
        let open = self
            .rows
            .iter()
            .any(|(fact, row)| order_of(*fact) == order && *row == Row::Open);
        let mut facts = order * PER_ORDER..(order + 1) * PER_ORDER;
        if shortcut == Some(Shortcut::NoLock) {
            // the later of two may draw first
            return facts.rev().find(|fact| !live(*fact));
        }
        (!open).then(|| facts.find(|fact| !live(*fact))).flatten()
    }

    fn drawn(&self) -> impl Iterator<Item = u8> {
        let drawn = self.rows.iter().filter(|(_, row)| *row != Row::Never);
        drawn.map(|(fact, _)| *fact)
    }

    fn visible(&self) -> Vec<usize> {
        let there = |index: &usize| self.rows[*index].1 == Row::There;
        (self.mark..self.rows.len()).filter(there).take(BATCH).collect()
    }

    fn store(&mut self, (from, to): (usize, usize), shortcut: Option<Shortcut>) {
        for fact in &self.log[from..to] {
            let times = &mut self.applied[usize::from(*fact)];
            if *times == 0 || shortcut == Some(Shortcut::NoMemory) {
                *times = (*times + 1).min(2);
            }
        }
    }

    /// What is left to be done, at most: a natural number that each step of progress lowers.
    fn rank(&self) -> usize {
        let in_hand = |index: usize| match &self.relay {
            Some(relay) => match relay.batch.iter().position(|row| *row == index) {
                Some(place) if place < relay.sent => 2,
                Some(_) => 1,
                None => 0,
            },
            None => 0,
        };
        let undrawn = usize::from(FACTS) - self.drawn().count();
        let rows = self.rows.iter().enumerate().map(|(index, (_, row))| match row {
            Row::Open => 90,
            Row::There if in_hand(index) == 2 => 20,
            Row::There if in_hand(index) == 1 => 70,
            Row::There => 80,
            Row::Gone | Row::Never => 0,
        });
        let rest = (self.log.len() - self.offset) * 10;
        let member = match self.member {
            None => 4,
            Some(Member {
                batch: (from, to), ..
            }) if from == to => 3,
            Some(Member { stored: false, .. }) => 2,
            Some(Member { stored: true, .. }) => 1,
        };
        undrawn * 100 + rows.sum::<usize>() + rest + member + usize::from(self.relay.is_none())
    }
}

impl Queues {
    fn possible(&self, state: &State) -> Vec<Event> {
        let mut events: Vec<Event> = (0..FACTS / PER_ORDER)
            // the orders are alike: the one that draws first is called the first
            .filter(|order| *order == 0 || !state.rows.is_empty())
            .filter(|order| state.next_fact(*order, self.shortcut).is_some())
            .map(Event::Draw)
            .collect();
        for (index, (_, row)) in state.rows.iter().enumerate() {
            if *row == Row::Open {
                events.extend([Event::Commit(index), Event::RollBack(index)]);
            }
        }
        match &state.relay {
            None => events.push(Event::Lead),
            Some(relay) if relay.batch.is_empty() => {
                events.push(Event::RelayDies);
                if !state.visible().is_empty() {
                    events.push(Event::Scan);
                }
            }
            Some(relay) if relay.sent < relay.batch.len() => events.extend([Event::Send, Event::RelayDies]),
            Some(_) => events.extend([Event::Delete, Event::RelayDies]),
        }
        if !state.stray.is_empty() {
            events.push(Event::StrayArrives);
        }
        match state.member {
            None => events.push(Event::Join),
            Some(Member {
                batch: (from, to), ..
            }) if from == to => {
                events.push(Event::MemberLost);
                if to < state.log.len() {
                    events.push(Event::Poll);
                }
            }
            Some(Member { stored: false, .. }) => events.extend([Event::Store, Event::MemberLost]),
            Some(Member { stored: true, .. }) => events.extend([Event::CommitOffset, Event::MemberLost]),
        }
        if state.zombie.is_some() {
            events.push(Event::ZombieStores);
        }
        events.retain(|event| state.faults_left > 0 || !event.is_fault());
        events
    }

    fn after(&self, state: &State, event: Event) -> State {
        let mut next = state.clone();
        next.faults_left -= u8::from(event.is_fault());
        match event {
            Event::Draw(order) => {
                let fact = next.next_fact(order, self.shortcut);
                next.rows.extend(fact.map(|fact| (fact, Row::Open)));
            }
            Event::Commit(index) => next.rows[index].1 = Row::There,
            Event::RollBack(index) => next.rows[index].1 = Row::Never,
            Event::Lead => (next.relay, next.mark) = (Some(Relay::default()), 0),
            Event::Scan => self.scan(&mut next),
            Event::Send | Event::Delete => self.advance(&mut next),
            Event::RelayDies => {
                let Relay { batch, sent } = next.relay.take().unwrap_or_default();
                let unsent = batch[sent..].iter().map(|index| next.rows[*index].0).collect();
                next.stray = unsent;
            }
            Event::StrayArrives => {
                let fact = next.stray.remove(0);
                next.log.push(fact);
            }
            Event::Join | Event::Poll | Event::Store | Event::CommitOffset => self.consume(&mut next, event),
            Event::MemberLost => {
                let unstored = next
                    .member
                    .take()
                    .filter(|member| !member.stored && member.batch.0 < member.batch.1);
                next.zombie = unstored.map(|member| member.batch);
            }
            Event::ZombieStores => {
                if let Some(batch) = next.zombie.take() {
                    next.store(batch, self.shortcut);
                }
            }
        }
        next
    }

    fn scan(&self, state: &mut State) {
        let batch = state.visible();
        // the mark passes rows that are gone for good, and stops at the first whose transaction is open
        let settled = state.rows.iter().take_while(|(_, row)| row.has_ended()).count();
        state.mark = match self.shortcut {
            Some(Shortcut::CursorOnly) => batch.last().map_or(state.mark, |last| last + 1),
            Some(_) | None => settled,
        };
        if self.shortcut == Some(Shortcut::DeleteFirst) {
            for index in &batch {
                state.rows[*index].1 = Row::Gone;
            }
        }
        state.relay = Some(Relay { batch, sent: 0 });
    }

    fn advance(&self, state: &mut State) {
        let Some(relay) = &mut state.relay else { return };
        if let Some(index) = relay.batch.get(relay.sent) {
            relay.sent += 1;
            state.log.push(state.rows[*index].0);
            return;
        }
        for index in relay.batch.drain(..) {
            state.rows[index].1 = Row::Gone;
        }
        relay.sent = 0;
    }

    fn consume(&self, state: &mut State, event: Event) {
        let Some(member) = state.member else {
            state.member = Some(Member {
                batch: (state.offset, state.offset),
                stored: false,
            });
            return;
        };
        let (from, to) = member.batch;
        let end = if event == Event::Poll {
            state.log.len().min(to + BATCH)
        } else {
            to
        };
        let (batch, stored) = match event {
            Event::Poll => ((to, end), false),
            Event::Store => {
                state.store(member.batch, self.shortcut);
                ((from, to), true)
            }
            _ => ((to, to), false),
        };
        let early = self.shortcut == Some(Shortcut::OffsetsFirst) && event == Event::Poll;
        if early || event == Event::CommitOffset {
            state.offset = end;
        }
        state.member = Some(Member { batch, stored });
    }

    /// Whatever was committed is still in the outbox or on the log, and what the offset has left behind is applied.
    fn keeps_everything(&self, state: &State) -> bool {
        let on_its_way = |fact: u8| {
            let in_outbox = state
                .rows
                .iter()
                .any(|(row, status)| *row == fact && !status.has_ended());
            in_outbox || state.log.contains(&fact)
        };
        let behind = &state.log[..state.offset];
        state.drawn().all(on_its_way) && behind.iter().all(|fact| state.applied[usize::from(*fact)] > 0)
    }

    /// Facts of one order come to the log for the first time in the order in which they were committed.
    fn keeps_order(&self, state: &State) -> bool {
        let first = |fact: u8| state.log.iter().position(|record| *record == fact);
        (1..FACTS)
            .filter(|fact| order_of(*fact) == order_of(fact - 1))
            .all(|fact| first(fact).is_none_or(|place| first(fact - 1).is_some_and(|before| before < place)))
    }

    fn ends_well(&self, state: &State) -> bool {
        let goes_on = self.possible(state).into_iter().any(Event::is_progress);
        goes_on
            || (state.applied == [1; 4]
                && state.offset == state.log.len()
                && state.rows.iter().all(|(_, row)| row.has_ended()))
    }

    fn leads_on(&self, state: &State) -> bool {
        let progress = self
            .possible(state)
            .into_iter()
            .filter(|event| event.is_progress());
        progress
            .map(|event| self.after(state, event))
            .all(|next| next.rank() < state.rank())
    }
}

/// No fact is applied twice.
pub const ONCE: &str = "no fact is applied twice";
/// No committed fact is lost.
pub const KEPT: &str = "no committed fact is lost";
/// The facts of an order keep their order.
pub const IN_ORDER: &str = "the facts of an order keep their order";
/// In the end everything is applied once.
pub const ENDS_WELL: &str = "in the end everything is applied once";
/// Without faults it comes to an end.
pub const LEADS_ON: &str = "without faults it comes to an end";

impl Model for Queues {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            rows: Vec::new(),
            mark: 0,
            relay: None,
            stray: Vec::new(),
            log: Vec::new(),
            offset: 0,
            member: None,
            zombie: None,
            applied: [0; 4],
            faults_left: self.faults,
        }]
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
            Property::always(ENDS_WELL, |model: &Self, state| model.ends_well(state)),
            Property::always(LEADS_ON, |model: &Self, state| model.leads_on(state)),
            Property::sometimes("a record comes twice", |_, state: &State| {
                state.log.len() > usize::from(FACTS)
            }),
        ]
    }
}
