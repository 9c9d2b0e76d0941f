//! What becomes of work that failed: another attempt after a wait, or death.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt;

use crate::MessagingSettings;

/// The header that counts retries on parked messages and dead letters.
pub(crate) const RETRY_COUNT: &str = "x-retry-count";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Retry { at: DateTime<Utc> },
    Dead,
}

/// The fate of work whose attempt number `attempts` (from 1) has just failed.
pub(crate) fn fate(
    settings: &MessagingSettings,
    attempts: i32,
    keeps_trying: bool,
    now: DateTime<Utc>,
) -> Fate {
    let retry = usize::try_from(attempts).unwrap_or(usize::MAX);
    settings
        .retry_delay(retry)
        .or_else(|| keeps_trying.then(|| settings.longest_delay()))
        .map_or(Fate::Dead, |delay| Fate::Retry {
            at: now + jittered(delay),
        })
}

/// Varied by up to a quarter, so that what failed together does not come back together.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(rand::rng().random_range(0.75..=1.25))
}

/// Waits for the infrastructure: doubled each time, jittered, bounded.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(settings: &MessagingSettings) -> Self {
        let min = Duration::from_millis(settings.backoff_min_ms);
        Self {
            min,
            max: Duration::from_millis(settings.backoff_max_ms),
            next: min,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }

    pub(crate) fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = self.next.saturating_mul(2).min(self.max);
        jittered(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::clock;

    #[test]
    fn three_delays_are_three_retries_and_then_death() {
        let settings = MessagingSettings::default();
        let now = clock::now();
        for (attempts, seconds) in [(1, 1.0), (2, 5.0), (3, 30.0)] {
            let Fate::Retry { at } = fate(&settings, attempts, false, now) else {
                panic!("attempt {attempts} is the last")
            };
            let wait = (at - now).as_seconds_f64();
            assert!((seconds * 0.75..=seconds * 1.25).contains(&wait), "{wait}");
        }
        assert_eq!(fate(&settings, 4, false, now), Fate::Dead);
        assert!(matches!(fate(&settings, 4, true, now), Fate::Retry { .. }));
    }

    #[test]
    fn backoff_is_bounded() {
        let mut backoff = Backoff::new(&MessagingSettings::default());
        for _ in 0..100 {
            assert!(backoff.wait() <= Duration::from_millis(6_250));
        }
    }
}
