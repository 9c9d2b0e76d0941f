//! Whether one endpoint of a service is worth a request of one class of routes: a circuit breaker.
//!
//! So many failures in a row open it: nobody asks the endpoint for a while, which doubles each time up to a bound. Then one
//! request tries; its outcome closes the breaker or opens it again. What a failure is, the exchange decides: no
//! connection, a broken one, no answer in time. An error that a service answers with is an answer (see `outlier`): a 503
//! that sheds load on purpose never opens it, because a service that says so works, and knows first when that is over.

use std::time::Duration;

use tokio::time::Instant;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct BreakerRules {
    /// Failures in a row that open it.
    pub(super) failures: u32,
    /// How long it stays open the first time.
    pub(super) open: Duration,
    /// How long at most.
    pub(super) open_max: Duration,
    /// How long the outcome of a trial is waited for.
    pub(super) trial: Duration,
}

/// What a breaker says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Go.
    Pass,
    /// Go, and tell: others wait for the outcome.
    Trial,
    /// Not before so long.
    Wait(Duration),
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, times: u32 },
    Trying { until: Instant, times: u32 },
}

/// The breaker of one endpoint for one class of routes.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerRules,
    state: State,
}

impl Breaker {
    pub(super) const fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            state: State::Closed { failures: 0 },
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Pass,
            State::Open { until, .. } | State::Trying { until, .. } if now < until => {
                Admission::Wait(until.duration_since(now))
            }
            // a trial whose outcome never came is nobody's any more
            State::Open { times, .. } | State::Trying { times, .. } => {
                let until = now + self.rules.trial;
                self.state = State::Trying { until, times };
                Admission::Trial
            }
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Counts a failure. Returns whether the breaker opened just now.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let times = match self.state {
            State::Closed { failures } if failures.saturating_add(1) < self.rules.failures => {
                self.state = State::Closed {
                    failures: failures.saturating_add(1),
                };
                return false;
            }
            State::Closed { .. } => 0,
            State::Trying { times, .. } => times.saturating_add(1),
            // those that were under way when it opened
            State::Open { .. } => return false,
        };
        let pause = self.rules.open.saturating_mul(1 << times.min(16));
        self.state = State::Open {
            until: now + pause.min(self.rules.open_max),
            times,
        };
        true
    }

    /// A trial ended without an outcome: the next request may try.
    pub(super) fn abandoned(&mut self, now: Instant) {
        if let State::Trying { times, .. } = self.state {
            self.state = State::Open { until: now, times };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules {
        failures: 3,
        open: Duration::from_secs(5),
        open_max: Duration::from_secs(20),
        trial: Duration::from_secs(30),
    };

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(RULES);
        let opened: Vec<_> = (0..3).map(|_| breaker.failed(now)).collect();
        assert_eq!(opened, [false, false, true]);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let now = Instant::now();
        let mut breaker = Breaker::new(RULES);
        for _ in 0..10 {
            assert!(!breaker.failed(now));
            assert!(!breaker.failed(now));
            breaker.succeeded();
        }
        assert_eq!(breaker.admit(now), Admission::Pass);
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now), Admission::Wait(RULES.open));
    }

    #[test]
    fn one_request_tries_and_its_outcome_counts() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + RULES.open;
        assert_eq!(breaker.admit(later), Admission::Trial);
        assert_eq!(breaker.admit(later), Admission::Wait(RULES.trial));
        breaker.succeeded();
        assert_eq!(breaker.admit(later), Admission::Pass);
    }

    #[test]
    fn each_failed_trial_doubles_the_pause_up_to_a_bound() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for seconds in [5, 10, 20, 20, 20] {
            assert_eq!(breaker.admit(now), Admission::Wait(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(breaker.admit(now), Admission::Trial);
            assert!(breaker.failed(now));
        }
    }

    #[test]
    fn a_trial_without_an_outcome_keeps_nobody_waiting_for_ever() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + RULES.open;
        assert_eq!(breaker.admit(later), Admission::Trial);
        breaker.abandoned(later);
        assert_eq!(breaker.admit(later), Admission::Trial);
        assert_eq!(breaker.admit(later + RULES.trial), Admission::Trial);
    }
}
