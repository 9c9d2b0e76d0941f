//! The breakers. Failures of many keys in a row are nobody's own: while a breaker is open, what it stands before waits
//! with no attempt counted, and one at a time is let through to see whether things are well again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chassis::clock;
use chrono::{DateTime, Utc};
use tracing::{info, warn};

use crate::MessagingSettings;
use crate::metrics::KernelMetrics;

/// Closed until `threshold` keys have failed with no success in between; then open until something succeeds.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// What it stands before: `actions` or `messages`.
    before: &'static str,
    threshold: usize,
    probe_every: Duration,
    /// Keys that have failed since the last success; never more than the threshold.
    failed: HashSet<Vec<u8>>,
    /// When something succeeded last.
    success: Option<DateTime<Utc>>,
    /// While it is open: when the next may be tried.
    next_probe: Option<Instant>,
    metrics: KernelMetrics,
}

impl Breaker {
    pub(crate) fn new(before: &'static str, settings: &MessagingSettings, metrics: KernelMetrics) -> Self {
        Self {
            before,
            threshold: settings.breaker_keys.max(1),
            probe_every: Duration::from_millis(settings.breaker_probe_ms),
            failed: HashSet::new(),
            success: None,
            next_probe: None,
            metrics,
        }
    }

    /// How many may begin, where there is room for `room` and `in_flight` are under way.
    pub(crate) fn room(&self, room: usize, in_flight: usize, now: Instant) -> usize {
        match self.next_probe {
            None => room,
            Some(at) if in_flight == 0 && now >= at => room.min(1),
            Some(_) => 0,
        }
    }

    /// When the next may be tried; none while it is closed.
    pub(crate) fn next_probe(&self) -> Option<Instant> {
        self.next_probe
    }

    /// One is tried now; the next not before a while.
    pub(crate) fn probes(&mut self, now: Instant) {
        self.next_probe = Some(now + self.probe_every);
    }

    /// One may be tried at once.
    pub(crate) fn may_probe(&mut self, now: Instant) {
        self.next_probe = Some(now);
    }

    /// Something succeeded, or nothing waits any more.
    pub(crate) fn succeeded(&mut self) {
        self.failed.clear();
        self.success = Some(clock::now());
        if self.next_probe.take().is_some() {
            self.metrics.breaker(self.before, false);
            info!(breaker = self.before, "the breaker is closed again");
        }
    }

    /// Something of `key` failed, for the last time before at `before`. True when that is not to be counted as its own
    /// failure. Where something else has succeeded since it failed before, it is: so what fails for ever comes to its end,
    /// however much of it there is.
    pub(crate) fn failed(&mut self, key: &[u8], before: Option<DateTime<Utc>>, now: Instant) -> bool {
        if self.next_probe.is_none() {
            if before.is_some_and(|before| self.success > Some(before)) {
                return false;
            }
            self.failed.insert(key.to_owned());
            if self.failed.len() < self.threshold {
                return false;
            }
            self.metrics.breaker(self.before, true);
            warn!(
                breaker = self.before,
                keys = self.threshold,
                "key after key fails, the breaker is open"
            );
        }
        self.probes(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const PROBE: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        let settings = MessagingSettings {
            breaker_keys: 3,
            breaker_probe_ms: 1_000,
            ..MessagingSettings::default()
        };
        Breaker::new("messages", &settings, KernelMetrics::default())
    }

    #[test]
    fn failures_of_many_keys_in_a_row_open_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        assert!(!breaker.failed(b"a", None, now));
        assert!(!breaker.failed(b"b", None, now));
        assert_eq!(breaker.room(64, 5, now), 64);
        assert!(breaker.failed(b"c", None, now));
        assert_eq!(breaker.room(64, 0, now), 0);
    }

    #[test]
    fn one_that_fails_again_and_again_is_its_own_fault() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..100 {
            assert!(!breaker.failed(b"a", None, now));
        }
    }

    #[test]
    fn a_success_in_between_begins_the_count_anew() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for key in [b"a", b"b", b"c", b"d"] {
            assert!(!breaker.failed(key, None, now));
            breaker.succeeded();
        }
    }

    #[test]
    fn one_that_fails_again_after_others_have_succeeded_fails_by_itself() {
        let (mut breaker, now) = (breaker(), Instant::now());
        let before = clock::now() - TimeDelta::seconds(1);
        breaker.succeeded();
        for key in [b"a", b"b", b"c", b"d"] {
            assert!(!breaker.failed(key, Some(before), now));
        }
        let since = clock::now() + TimeDelta::seconds(1);
        assert!(!breaker.failed(b"a", Some(since), now));
        assert!(!breaker.failed(b"b", Some(since), now));
        assert!(
            breaker.failed(b"c", Some(since), now),
            "nothing has succeeded since"
        );
        assert!(
            breaker.failed(b"d", Some(before), now),
            "while it is open nothing counts"
        );
    }

    #[test]
    fn open_it_lets_one_through_at_a_time_until_one_succeeds() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for key in [b"a", b"b", b"c"] {
            breaker.failed(key, None, now);
        }
        let later = now + PROBE;
        assert_eq!(breaker.room(64, 1, later), 0, "another is under way");
        assert_eq!(breaker.room(64, 0, later), 1);
        assert!(breaker.failed(b"d", None, later), "a probe is not counted");
        assert_eq!(breaker.room(64, 0, later), 0);
        assert_eq!(breaker.room(64, 0, later + PROBE), 1);
        breaker.succeeded();
        assert_eq!(breaker.room(64, 0, later + PROBE), 64);
        assert!(!breaker.failed(b"a", None, later));
    }
}
