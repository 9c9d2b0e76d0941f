//! What can happen, and what comes of it.

use super::state::{Member, Parked, Relay, Row, State};
use super::{BATCH, FACTS, PER_ORDER, Queues, Shortcut};

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
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
    /// It stores the batch, of which this fact has failed by itself.
    StoreWithout(u8),
    /// It commits the offset.
    CommitOffset,
    /// The fact of that order that waits first is applied at last.
    Retry(u8),
    /// It has failed too often.
    Bury(u8),
    /// An operator replays what was given up; it keeps its place.
    Replay(usize),
    /// It dies, or loses the partition without knowing.
    MemberLost,
    /// A batch is stored by one that has lost the partition.
    ZombieStores,
}

impl Event {
    /// Whether it happens by itself in the end.
    pub(super) fn is_progress(self) -> bool {
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
            | Self::CommitOffset
            | Self::Retry(_)
            | Self::Replay(_) => true,
            Self::RollBack(_)
            | Self::StoreWithout(_)
            | Self::Bury(_)
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

    /// Whether it is counted as a failure of a fact.
    fn is_failure(self) -> bool {
        matches!(self, Self::StoreWithout(_) | Self::Bury(_))
    }
}

impl Queues {
    pub(super) fn possible(&self, state: &State) -> Vec<Event> {
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
            Some(Member {
                stored: false, batch, ..
            }) => {
                events.extend([Event::Store, Event::MemberLost]);
                events.extend(state.fallible(batch).map(Event::StoreWithout));
            }
            Some(Member { stored: true, .. }) => events.extend([Event::CommitOffset, Event::MemberLost]),
        }
        if state.zombie.is_some() {
            events.push(Event::ZombieStores);
        }
        for order in (0..FACTS / PER_ORDER).filter(|order| state.head(*order).is_some()) {
            events.extend([Event::Retry(order), Event::Bury(order)]);
        }
        let dead = |index: &usize| state.work[*index].1 == Parked::Dead;
        events.extend((0..state.work.len()).filter(dead).map(Event::Replay));
        events.retain(|event| state.faults_left > 0 || !event.is_fault());
        events.retain(|event| state.failures_left > 0 || !event.is_failure());
        events
    }

    pub(super) fn after(&self, state: &State, event: Event) -> State {
        let mut next = state.clone();
        next.faults_left -= u8::from(event.is_fault());
        next.failures_left -= u8::from(event.is_failure());
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
            Event::Join | Event::Poll | Event::Store | Event::StoreWithout(_) | Event::CommitOffset => {
                self.consume(&mut next, event);
            }
            Event::Retry(order) => {
                if let Some(index) = next.head(order) {
                    let (fact, _) = next.work.remove(index);
                    next.apply(fact);
                }
            }
            Event::Bury(order) => {
                if let Some(index) = next.head(order) {
                    next.work[index].1 = Parked::Dead;
                }
            }
            Event::Replay(index) => next.work[index].1 = Parked::Waiting,
            Event::MemberLost => {
                let unstored = next
                    .member
                    .take()
                    .filter(|member| !member.stored && member.batch.0 < member.batch.1);
                next.zombie = unstored.map(|member| member.batch);
            }
            Event::ZombieStores => {
                if let Some(batch) = next.zombie.take() {
                    next.store(batch, None, self.shortcut);
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
        let failing = if let Event::StoreWithout(fact) = event {
            Some(fact)
        } else {
            None
        };
        let (batch, stored) = if event == Event::Poll {
            ((to, end), false)
        } else if event == Event::Store || failing.is_some() {
            state.store(member.batch, failing, self.shortcut);
            ((from, to), true)
        } else {
            ((to, to), false)
        };
        let early = self.shortcut == Some(Shortcut::OffsetsFirst) && event == Event::Poll;
        if early || event == Event::CommitOffset {
            state.offset = end;
        }
        state.member = Some(Member { batch, stored });
    }
}
