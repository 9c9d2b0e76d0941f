//! The relay's low-water mark: from which outbox id on it must look. Only a shortcut past ids that are surely gone (a
//! scan from 0 passes over every dead row until vacuum has been there), and never wrong: ids are drawn before
//! they are committed, so a higher id may be published while a lower one is still in an open transaction.

/// What the database says about its open transactions and drawn ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// The next id that the outbox's sequence will draw; must be read before the snapshot.
    pub(super) next_id: i64,
    /// Every transaction below this has ended.
    pub(super) xmin: i64,
    /// No transaction at or above this had started.
    pub(super) xmax: i64,
}

/// The mark.
#[derive(Debug, Default)]
pub(super) struct LowWater {
    mark: i64,
    candidate: Option<Sample>,
    settled: i64,
}

impl LowWater {
    /// Where to look from.
    pub(super) const fn mark(&self) -> i64 {
        self.mark
    }

    /// Takes a sample in. All ids below a sample's `next_id` belong to transactions below its `xmax`; once those have
    /// ended, no id below it can appear any more.
    pub(super) fn observe(&mut self, sample: Sample) {
        match self.candidate {
            Some(candidate) if sample.xmin >= candidate.xmax => {
                self.settled = self.settled.max(candidate.next_id);
                self.candidate = Some(sample);
            }
            Some(_) => {}
            None => self.candidate = Some(sample),
        }
    }

    /// Takes the result of a scan from the mark in, made after the last sample: the lowest id found. What is
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
        water.observe(Sample {
            next_id: 11,
            xmin: 100,
            xmax: 105,
        });
        // transaction 103 is still open and may hold id 7
        water.observe(Sample {
            next_id: 20,
            xmin: 103,
            xmax: 110,
        });
        water.scanned(None);
        assert_eq!(water.mark(), 0);
        water.observe(Sample {
            next_id: 30,
            xmin: 105,
            xmax: 111,
        });
        water.scanned(Some(9));
        assert_eq!(water.mark(), 9, "what is found must be found again");
        water.scanned(None);
        assert_eq!(water.mark(), 11);
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
            let (mut next_xid, mut next_id) = (1_i64, 1_i64);
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
                            if commit {
                                prop_assert!(ids.iter().all(|id| *id >= water.mark()));
                                visible.extend(ids);
                            }
                        }
                    }
                    Op::Sample => {
                        let xmin = open.keys().next().copied().unwrap_or(next_xid);
                        water.observe(Sample { next_id, xmin, xmax: next_xid });
                    }
                    Op::Scan => water.scanned(visible.iter().copied().filter(|id| *id >= water.mark()).min()),
                    Op::Publish => visible.clear(),
                }
                prop_assert!(visible.iter().all(|id| *id >= water.mark()));
            }
        }
    }
}
