//! The relay's low-water mark: from which outbox id on it must look. Only a shortcut past ids that are surely gone (a
//! scan from 0 passes over every dead row until vacuum has been there), and never wrong: ids are drawn before
//! they are committed, so a higher id may be published while a lower one is still in an open transaction.

/// A place that the mark may move to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The next id that the outbox's sequence was to draw; read first.
    pub(super) next_id: i64,
    /// A transaction number that was assigned after that. Whoever had drawn an id by then has a lower one. (The `xmax`
    /// of a snapshot will not do: it is one past the latest *ended* transaction, and open ones may be beyond it.)
    pub(super) above: i64,
}

/// The mark.
#[derive(Debug, Default)]
pub(super) struct LowWater {
    mark: i64,
    candidate: Option<Candidate>,
    settled: i64,
}

impl LowWater {
    /// Where to look from.
    pub(super) const fn mark(&self) -> i64 {
        self.mark
    }

    /// Takes in that every transaction below `xmin` has ended: no id below the candidate can appear any more once
    /// all who may hold one have.
    pub(super) fn ended(&mut self, xmin: i64) {
        if let Some(candidate) = self.candidate.take_if(|candidate| xmin >= candidate.above) {
            self.settled = self.settled.max(candidate.next_id);
        }
    }

    /// Whether a candidate for `next_id` would be of use.
    pub(super) const fn wants(&self, next_id: i64) -> bool {
        self.candidate.is_none() && next_id > self.settled
    }

    /// The next candidate.
    pub(super) fn propose(&mut self, candidate: Candidate) {
        self.candidate = Some(candidate);
    }

    /// Takes the result of a scan from the mark in, made after the last [`Self::ended`]: the lowest id found. What is
    /// settled and below it is gone.
    pub(super) fn scanned(&mut self, lowest: Option<i64>) {
        self.mark = self
            .mark
            .max(lowest.map_or(self.settled, |lowest| lowest.min(self.settled)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_mark_waits_for_an_open_transaction() {
        let mut water = LowWater::default();
        water.propose(Candidate {
            next_id: 11,
            above: 105,
        });
        // transaction 103 is still open and may hold id 7
        water.ended(103);
        water.scanned(None);
        assert_eq!(water.mark(), 0);
        assert!(!water.wants(20), "one candidate at a time");
        water.ended(105);
        water.scanned(Some(9));
        assert_eq!(water.mark(), 9, "what is found must be found again");
        water.scanned(None);
        assert_eq!(water.mark(), 11);
        assert!(water.wants(12) && !water.wants(11));
    }

    #[derive(Debug, Clone)]
    enum Op {
        Begin,
        Draw(usize),
        End(usize, bool),
        Sample,
        Scan,
        Publish,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            2 => Just(Op::Begin),
            4 => (0_usize..8).prop_map(Op::Draw),
            3 => (0_usize..8, any::<bool>()).prop_map(|(at, commit)| Op::End(at, commit)),
            2 => Just(Op::Sample),
            3 => Just(Op::Scan),
            2 => Just(Op::Publish),
        ];
        proptest::collection::vec(op, 1..200)
    }

    proptest! {
        /// A little PostgreSQL: transactions draw ids in any interleaving and end in any order.
        #[test]
        fn no_committed_row_is_ever_below_the_mark(ops in ops()) {
            let (mut next_xid, mut next_id, mut latest_ended) = (1_i64, 1_i64, 0_i64);
            let mut open: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            let mut visible: Vec<i64> = Vec::new();
            let mut water = LowWater::default();
            for op in ops {
                match op {
                    Op::Begin => {
                        open.insert(next_xid, Vec::new());
                        next_xid += 1;
                    }
                    Op::Draw(at) => {
                        let count = open.len().max(1);
                        if let Some(ids) = open.values_mut().nth(at % count) {
                            ids.push(next_id);
                            next_id += 1;
                        }
                    }
                    Op::End(at, commit) => {
                        let count = open.len().max(1);
                        if let Some(xid) = open.keys().nth(at % count).copied() {
                            let ids = open.remove(&xid).unwrap();
                            latest_ended = latest_ended.max(xid);
                            if commit {
                                prop_assert!(ids.iter().all(|id| *id >= water.mark()));
                                visible.extend(ids);
                            }
                        }
                    }
                    Op::Sample => {
                        // as GetSnapshotData: open transactions from the latest ended one on are not looked at
                        let xmax = latest_ended + 1;
                        water.ended(open.keys().next().copied().unwrap_or(xmax).min(xmax));
                        if water.wants(next_id) {
                            water.propose(Candidate { next_id, above: next_xid });
                            latest_ended = latest_ended.max(next_xid);
                            next_xid += 1;
                        }
                    }
                    Op::Scan => water.scanned(visible.iter().copied().filter(|id| *id >= water.mark()).min()),
                    Op::Publish => visible.clear(),
                }
                prop_assert!(visible.iter().all(|id| *id >= water.mark()));
            }
        }
    }
}
