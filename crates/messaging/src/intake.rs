//! The breaker in front of reactions, shared by the consumer and the retries of parked messages. A handler that fails for
//! message after message, whatever their keys, is broken itself: consumption pauses and probes instead of turning its bug
//! into a thousand dead letters.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::breaker::Breaker;
use crate::metrics::KernelMetrics;
use crate::steps::Verdict;
use crate::{Failure, MessagingSettings};

/// What may be taken in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// Whatever there is.
    All,
    /// One message, to see whether things are well again.
    Probe,
    /// Nothing before then.
    Not(Instant),
}

/// What the failures of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The messages' own: counted.
    Own,
    /// Nobody's: the breaker has opened over them, or is open.
    Nobody,
    /// Nobody's, and they were the probe.
    Probe,
}

/// A message and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) key: Option<&'a [u8]>,
    /// When it failed before.
    pub(crate) before: Option<DateTime<Utc>>,
    pub(crate) verdict: &'a Verdict,
}

#[derive(Debug)]
pub(crate) struct Intake(Mutex<Gate>);

#[derive(Debug)]
struct Gate {
    breaker: Breaker,
    /// A probe is allowed, and what came of it is not known yet.
    probing: bool,
}

impl Intake {
    pub(crate) fn new(settings: &MessagingSettings, metrics: KernelMetrics) -> Self {
        Self(Mutex::new(Gate {
            breaker: Breaker::new("messages", settings, metrics),
            probing: false,
        }))
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever is allowed a probe has the turn: the next comes later.
    pub(crate) fn allowance(&self, now: Instant) -> Allowance {
        let mut gate = self.gate();
        match gate.breaker.next_probe() {
            None => Allowance::All,
            Some(at) if now >= at => {
                gate.breaker.probes(now);
                gate.probing = true;
                Allowance::Probe
            }
            Some(at) => Allowance::Not(at),
        }
    }

    /// There was nothing to probe with: somebody else may.
    pub(crate) fn unused(&self, now: Instant) {
        let mut gate = self.gate();
        if std::mem::take(&mut gate.probing) {
            gate.breaker.may_probe(now);
        }
    }

    /// What the failures among these verdicts are, each with the key of what it is about and when that failed before. One
    /// that is done is a success of them all: the handler works. What nobody could read tells nothing about the handler.
    pub(crate) fn judge<'a>(&self, verdicts: impl Iterator<Item = Judged<'a>>, now: Instant) -> Blame {
        let mut failed = Vec::new();
        let mut gate = self.gate();
        for judged in verdicts {
            match judged.verdict {
                Verdict::Done { .. } => {
                    gate.breaker.succeeded();
                    return Blame::Own;
                }
                Verdict::Failed(failure) if !failure.is_unreadable() => failed.push(judged),
                Verdict::Failed(_) | Verdict::Behind => {}
            }
        }
        let mut open = false;
        for Judged { key, before, .. } in failed {
            open = gate.breaker.failed(key.unwrap_or_default(), before, now);
        }
        match (open, std::mem::take(&mut gate.probing)) {
            (false, _) => Blame::Own,
            (true, true) => Blame::Probe,
            (true, false) => Blame::Nobody,
        }
    }
}

impl Failure {
    /// No passing of time, and no other handler, makes it readable.
    fn is_unreadable(&self) -> bool {
        ["malformed-", "unknown-", "expired", "from-the-future"]
            .iter()
            .any(|class| self.class.starts_with(class))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn intake() -> Intake {
        let settings = MessagingSettings {
            breaker_keys: 3,
            ..MessagingSettings::default()
        };
        Intake::new(&settings, KernelMetrics::default())
    }

    fn failed(class: &str) -> Verdict {
        Verdict::Failed(Failure::new(class, "no"))
    }

    fn judge(intake: &Intake, batch: &[(&str, Verdict)], now: Instant) -> Blame {
        let judged = batch.iter().map(|(key, verdict)| Judged {
            key: Some(key.as_bytes()),
            before: None,
            verdict,
        });
        intake.judge(judged, now)
    }

    #[test]
    fn failures_of_many_keys_open_it_and_a_probe_that_succeeds_closes_it() {
        let (intake, now) = (intake(), Instant::now());
        let batch: Vec<_> = ["a", "b", "c", "d"].map(|key| (key, failed("panic"))).into();
        assert_eq!(judge(&intake, &batch[..2], now), Blame::Own);
        assert_eq!(intake.allowance(now), Allowance::All);
        assert_eq!(judge(&intake, &batch[2..], now), Blame::Nobody);
        let probe = now + Duration::from_secs(1);
        assert_eq!(intake.allowance(now), Allowance::Not(probe));
        assert_eq!(intake.allowance(probe), Allowance::Probe);
        let next = probe + Duration::from_secs(1);
        assert_eq!(intake.allowance(probe), Allowance::Not(next), "one has the turn");
        assert_eq!(judge(&intake, &batch[..1], probe), Blame::Probe);
        assert_eq!(judge(&intake, &batch[..1], probe), Blame::Nobody);
        assert_eq!(
            judge(&intake, &[("e", Verdict::Done { moved: true })], probe),
            Blame::Own
        );
        assert_eq!(intake.allowance(probe), Allowance::All);
    }

    #[test]
    fn one_that_is_done_shows_that_the_handler_works() {
        let (intake, now) = (intake(), Instant::now());
        let mut batch: Vec<_> = ["a", "b", "c", "d"].map(|key| (key, failed("panic"))).into();
        batch.push(("e", Verdict::Done { moved: true }));
        assert_eq!(judge(&intake, &batch, now), Blame::Own);
        assert_eq!(intake.allowance(now), Allowance::All);
    }

    #[test]
    fn what_nobody_can_read_says_nothing_about_the_handler() {
        let (intake, now) = (intake(), Instant::now());
        let batch: Vec<_> = ["a", "b", "c", "d"]
            .map(|key| (key, failed("malformed-body")))
            .into();
        assert_eq!(judge(&intake, &batch, now), Blame::Own);
        assert_eq!(intake.allowance(now), Allowance::All);
    }
}
