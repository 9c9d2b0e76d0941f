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
    pub(super) faults_left: u8,
}

pub(super) const fn order_of(fact: u8) -> u8 {
    fact / PER_ORDER
}

impl State {
    pub(super) const fn begin(faults: u8) -> Self {
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
            faults_left: faults,
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

    pub(super) fn store(&mut self, (from, to): (usize, usize), shortcut: Option<Shortcut>) {
        for fact in &self.log[from..to] {
            let times = &mut self.applied[usize::from(*fact)];
            if *times == 0 || shortcut == Some(Shortcut::NoMemory) {
                *times = (*times + 1).min(2);
            }
        }
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
        undrawn * 100 + rows.sum::<usize>() + rest + member + usize::from(self.relay.is_none())
    }
}
