//! The breaker in front of what actions need. Failures of many keys in a row are not the actions' own: while it is
//! open, actions wait with no attempt counted, and one at a time is let through to see whether things are well again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::metrics::KernelMetrics;

/// Closed until `threshold` keys have failed with no success in between; then open until an action succeeds.
#[derive(Debug)]
pub(crate) struct Breaker {
    threshold: usize,
    probe_every: Duration,
    /// Keys that have failed since the last success; never more than the threshold.
    failed: HashSet<Vec<u8>>,
    /// While it is open: when the next action may be tried.
    next_probe: Option<Instant>,
    metrics: KernelMetrics,
}

impl Breaker {
    pub(crate) fn new(threshold: usize, probe_every: Duration, metrics: KernelMetrics) -> Self {
        Self {
            threshold: threshold.max(1),
            probe_every,
            failed: HashSet::new(),
            next_probe: None,
            metrics,
        }
    }

    /// How many actions may begin, where there is room for `room` and `in_flight` are under way.
    pub(crate) fn room(&self, room: usize, in_flight: usize, now: Instant) -> usize {
        match self.next_probe {
            None => room,
            Some(at) if in_flight == 0 && now >= at => room.min(1),
            Some(_) => 0,
        }
    }

    /// An action had an outcome.
    pub(crate) fn succeeded(&mut self) {
        self.failed.clear();
        if self.next_probe.take().is_some() {
            self.metrics.breaker(false);
            info!("actions succeed again, the breaker is closed");
        }
    }

    /// An action of `key` failed. True when that is not to be counted as its own failure.
    pub(crate) fn failed(&mut self, key: &[u8], now: Instant) -> bool {
        if self.next_probe.is_none() {
            self.failed.insert(key.to_owned());
            if self.failed.len() < self.threshold {
                return false;
            }
            self.metrics.breaker(true);
            warn!(
                keys = self.threshold,
                "actions fail one after the other, the breaker is open"
            );
        }
        self.next_probe = Some(now + self.probe_every);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(3, PROBE, KernelMetrics::default())
    }

    #[test]
    fn failures_of_many_keys_in_a_row_open_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        assert!(!breaker.failed(b"a", now));
        assert!(!breaker.failed(b"b", now));
        assert_eq!(breaker.room(64, 5, now), 64);
        assert!(breaker.failed(b"c", now));
        assert_eq!(breaker.room(64, 0, now), 0);
    }

    #[test]
    fn one_that_fails_again_and_again_is_its_own_fault() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..100 {
            assert!(!breaker.failed(b"a", now));
        }
    }

    #[test]
    fn a_success_in_between_begins_the_count_anew() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for key in [b"a", b"b", b"c", b"d"] {
            assert!(!breaker.failed(key, now));
            breaker.succeeded();
        }
    }

    #[test]
    fn open_it_lets_one_through_at_a_time_until_one_succeeds() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for key in [b"a", b"b", b"c"] {
            breaker.failed(key, now);
        }
        let later = now + PROBE;
        assert_eq!(breaker.room(64, 1, later), 0, "another is under way");
        assert_eq!(breaker.room(64, 0, later), 1);
        assert!(breaker.failed(b"d", later), "a probe is not counted");
        assert_eq!(breaker.room(64, 0, later), 0);
        assert_eq!(breaker.room(64, 0, later + PROBE), 1);
        breaker.succeeded();
        assert_eq!(breaker.room(64, 0, later + PROBE), 64);
        assert!(!breaker.failed(b"a", later));
    }
}
