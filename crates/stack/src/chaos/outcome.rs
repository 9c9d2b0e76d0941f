//! What came of a run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ::books::{Kind, Report};

use super::Placed;

/// Kinds of mismatches that mean that something vanished.
const LOST: [Kind; 14] = [
    Kind::OrderMissing,
    Kind::OrderBehind,
    Kind::FactMissing,
    Kind::SequenceGap,
    Kind::PaymentMissing,
    Kind::ActionMissing,
    Kind::ChargeMissing,
    Kind::ChargeNotRefunded,
    Kind::EventNotConsumed,
    Kind::EventVanished,
    Kind::NotificationMissing,
    Kind::TimelineMissing,
    Kind::DeadLetterLost,
    Kind::DeadLetterUnannounced,
];
/// … and that something was done again.
const DOUBLED: [Kind; 5] = [
    Kind::FactRepeated,
    Kind::SequenceRepeated,
    Kind::PaymentRepeated,
    Kind::ChargedTwice,
    Kind::NotificationRepeated,
];

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed: the same one gives the same faults.
    pub seed: u64,
    /// How long faults were made.
    pub took: Duration,
    /// How often what happened.
    pub faults: BTreeMap<&'static str, usize>,
    /// How many long write transactions were kept open for as long as they were to be.
    pub held: usize,
    /// When what happened.
    pub story: Vec<String>,
    /// What the customers did.
    pub placed: Placed,
    /// From the end of a fault until everything was done that was there then.
    pub recoveries: Vec<Duration>,
    /// What was wrong besides the books.
    pub troubles: Vec<String>,
    /// The books.
    pub report: Report,
    /// Where the logs are, when something was wrong.
    pub logs: Option<PathBuf>,
}

impl Outcome {
    /// Whether nothing was wrong.
    pub fn is_good(&self) -> bool {
        self.report.balanced && self.troubles.is_empty() && self.placed.unanswered.is_empty()
    }

    /// Mismatches that mean that something vanished.
    pub fn lost(&self) -> usize {
        self.count(&LOST)
    }

    /// Mismatches that mean that something was done again.
    pub fn doubled(&self) -> usize {
        self.count(&DOUBLED)
    }

    /// By how many minor units the money is off, all currencies together.
    pub fn minor_units_off(&self) -> u64 {
        self.report
            .sums
            .iter()
            .map(|sum| sum.difference_minor.unsigned_abs())
            .sum()
    }

    /// The middle and the longest recovery.
    pub fn recovery(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }

    fn count(&self, kinds: &[Kind]) -> usize {
        let mismatches = self.report.mismatches.iter();
        mismatches
            .filter(|mismatch| kinds.contains(&mismatch.kind))
            .count()
    }
}
