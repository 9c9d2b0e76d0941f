//! How outbox, relay, log and consumer stand.

use super::{BATCH, FACTS, PER_ORDER, Shortcut};

/// How far a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Row {
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
    pub(super) fn has_ended(self) -> bool {
        matches!(self, Self::Gone | Self::Never)
    }
}

/// A relay that has the lead.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Relay {
    /// The rows that it has read.
    pub(super) batch: Vec<usize>,
    /// How many of them Kafka has.
    pub(super) sent: usize,
}

/// A consumer that has the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Member {
    /// Its batch, from and to which offset.
    pub(super) batch: (usize, usize),
    /// Whether the batch is stored.
    pub(super) stored: bool,
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// In the order of their ids: which fact, and how far it is.
    pub(super) rows: Vec<(u8, Row)>,
    /// From which row on the relay looks.
    pub(super) mark: usize,
    pub(super) relay: Option<Relay>,
    /// What a dead relay had handed to its client, and may still get to Kafka.
    pub(super) stray: Vec<u8>,
    pub(super) log: Vec<u8>,
    /// The committed offset.
    pub(super) offset: usize,
    pub(super) member: Option<Member>,
    /// The batch of a consumer that does not know yet that it has lost its partition.
    pub(super) zombie: Option<(usize, usize)>,
    /// How often each fact was applied.
    pub(super) applied: [u8; 4],
    /// Which facts the consumer remembers to have taken in.
    pub(super) taken: [bool; 4],
    /// What failed, and what waits behind it, in the order in which it was parked; and whether it was given up.
    pub(super) work: Vec<(u8, Parked)>,
    /// A fact was applied although an earlier one of its order was parked.
    pub(super) overtaken: bool,
    pub(super) faults_left: u8,
    pub(super) failures_left: u8,
}

/// A row of the table of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Parked {
    /// It is tried again.
    Waiting,
    /// It is a dead letter.
    Dead,
}

pub(super) const fn order_of(fact: u8) -> u8 {
    fact / PER_ORDER
}

impl State {
    pub(super) const fn begin(faults: u8, failures: u8) -> Self {
        Self {
            rows: Vec::new(),
            mark: 0,
            relay: None,
            stray: Vec::new(),
            log: Vec::new(),
            offset: 0,
            member: None,
            zombie: None,
            applied: [0; 4],
            taken: [false; 4],
            work: Vec::new(),
            overtaken: false,
            faults_left: faults,
            failures_left: failures,
        }
    }

    /// The next fact of `order` that has no row yet. Those who write about one order hold its lock: one at a time.
    pub(super) fn next_fact(&self, order: u8, shortcut: Option<Shortcut>) -> Option<u8> {
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

    pub(super) fn drawn(&self) -> impl Iterator<Item = u8> {
        let drawn = self.rows.iter().filter(|(_, row)| *row != Row::Never);
        drawn.map(|(fact, _)| *fact)
    }

    pub(super) fn visible(&self) -> Vec<usize> {
        let there = |index: &usize| self.rows[*index].1 == Row::There;
        (self.mark..self.rows.len()).filter(there).take(BATCH).collect()
    }

    /// Takes a batch in, of which `failing` fails.
    pub(super) fn store(
        &mut self,
        (from, to): (usize, usize),
        failing: Option<u8>,
        shortcut: Option<Shortcut>,
    ) {
        let batch = self.log[from..to].to_vec();
        for fact in batch {
            let taken = &mut self.taken[usize::from(fact)];
            if std::mem::replace(taken, true) && shortcut != Some(Shortcut::NoMemory) {
                continue;
            }
            let fails = failing == Some(fact);
            let waits = self.head(order_of(fact)).is_some() && shortcut != Some(Shortcut::NoQueue);
            if fails && shortcut == Some(Shortcut::ParkedApart) {
                continue;
            }
            if fails || waits {
                self.work.push((fact, Parked::Waiting));
            } else {
                self.apply(fact);
            }
        }
    }

    pub(super) fn apply(&mut self, fact: u8) {
        let earlier = |parked: &(u8, Parked)| {
            let (other, how) = *parked;
            order_of(other) == order_of(fact) && other < fact && how == Parked::Waiting
        };
        self.overtaken |= self.work.iter().any(earlier);
        let times = &mut self.applied[usize::from(fact)];
        *times = (*times + 1).min(2);
    }

    /// Where in the table of work the next fact of `order` waits.
    pub(super) fn head(&self, order: u8) -> Option<usize> {
        let waits = |(fact, how): &(u8, Parked)| order_of(*fact) == order && *how == Parked::Waiting;
        self.work.iter().position(waits)
    }

    /// Facts of a batch that can fail: what is parked already fails elsewhere, and what waits is not tried.
    pub(super) fn fallible(&self, (from, to): (usize, usize)) -> impl Iterator<Item = u8> {
        self.log[from..to]
            .iter()
            .copied()
            .filter(|fact| !self.taken[usize::from(*fact)] && self.head(order_of(*fact)).is_none())
    }

    /// What is left to be done, at most: a natural number that each step of progress lowers.
    pub(super) fn rank(&self) -> usize {
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
        let untaken = self.taken.iter().filter(|taken| !**taken).count();
        let work = self.work.iter().map(|(_, how)| match how {
            Parked::Dead => 2,
            Parked::Waiting => 1,
        });
        let inbox = 3 * untaken + work.sum::<usize>();
        undrawn * 100 + rows.sum::<usize>() + rest + member + inbox + usize::from(self.relay.is_none())
    }
}
